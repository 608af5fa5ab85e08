"""Whose nodule detector a checkpoint of PyTorch is, by the words in its pickle, which is read as text and never run."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO

from ..errors import PackageError

RESIDUAL, DUAL_PATH = "preBlock.0.weight", "layer6.0.conv1.weight"
"""A tensor by which each network is known: grt123's, which DeepLung's residual one has too, and DeepLung's second."""

# An option of DeepLung's training that grt123's has not; options are saved beside the weights.
_OF_DEEPLUNG = "testthresh"
# A file of torch that is no archive is four pickles one behind the other, the last of which is what was saved.
_LAST = 4


def detector_format(path: Path) -> str | None:
    """The `--format` of a checkpoint; None for other files. Raises PackageError where it may be either's, and OSError.
    """
    words = _words(path)
    if DUAL_PATH in words or (RESIDUAL in words and _OF_DEEPLUNG in words):
        return "deeplung"
    if RESIDUAL in words:
        raise PackageError(
            f"{path} is a nodule detector, but grt123's and DeepLung's residual networks have the same tensors: add it "
            "with --format grt123 (anchors of 10, 30 and 60 mm) or --format deeplung (5, 10 and 20 mm)."
        )
    return None


def _words(path: Path) -> set[str]:
    """Texts in what was saved; none of a file that holds no pickle, or a damaged one."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                return _words_of(stream, _LAST)
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
            if len(names) != 1:
                return set()
            with archive.open(names[0]) as stream:
                return _words_of(stream, 1)  # type: ignore[arg-type]
    except (ValueError, EOFError, zipfile.BadZipFile):
        return set()


def _words_of(stream: BinaryIO, pickles: int) -> set[str]:
    if pickles > 1 and stream.peek(1)[:1] != b"\x80":  # type: ignore[attr-defined]
        return set()
    words: set[str] = set()
    for _ in range(pickles):
        words = {argument for _, argument, _ in pickletools.genops(stream) if isinstance(argument, str)}
    return words
