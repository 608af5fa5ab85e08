"""The images of one patient that belong together: named on the command line, or by nnU-Net's endings in a folder.

nnU-Net calls the images of a case CASE_0000.nii.gz, CASE_0001.nii.gz, … in the order of its channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import PackageError, ScanError
from ..manifest import Image
from ..scans.reading import read_volume
from ..scans.source import ScanSource, stem
from ..volume import Volume

_ENDING = re.compile(r"(.+)_(\d{4})")


def cases_of(
    sources: Sequence[ScanSource], images: Sequence[Image], given: Mapping[str, Path]
) -> Sequence[ScanSource]:
    """The first image of each case, called as the case, for a model of several images; for others all sources.

    given: further images that were named. Raises PackageError where they are named for several scans.
    """
    if given and len(sources) > 1:
        raise PackageError(
            f"--input names the further images of one scan, but there are {len(sources)}: give one scan, or a folder "
            "with CASE_0000.nii.gz, CASE_0001.nii.gz, … for each case."
        )
    if len(images) < 2 or given:
        return sources
    numbered = {(source.path.parent, stem(source.path)) for source in sources}
    cases = []
    for source in sources:
        found = _ENDING.fullmatch(stem(source.path))
        if found and found[2] != "0000" and (source.path.parent, f"{found[1]}_0000") in numbered:
            continue
        cases.append(replace(source, name=source.name.removesuffix("_0000")))
    return cases


def further_files(path: Path, images: Sequence[Image], given: Mapping[str, Path]) -> Mapping[str, Path]:
    """The files of the further images of the scan in `path`, by name: those that were given, or those beside CASE_0000;
    none where `path` is no such case. Raises ScanError for a case that is not whole."""
    if given:
        return given
    found = _ENDING.fullmatch(stem(path))
    if found is None or found[2] != "0000":
        return {}
    suffix = path.name.removeprefix(stem(path))
    beside = {
        image.name: path.with_name(f"{found[1]}_{n:04d}{suffix}") for n, image in enumerate(images) if n
    }
    missing = [file.name for file in beside.values() if not file.exists()]
    if missing:
        raise ScanError(f"{path.name} belongs to a case without {' and '.join(missing)}: add what is missing.")
    return beside


def read_further(files: Mapping[str, Path]) -> dict[str, Volume]:
    """The further images. Raises ScanError for one that cannot be read."""
    return {name: read_volume(file) for name, file in files.items()}


def named_files(words: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE from the command line. Raises PackageError."""
    files = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not equals or not name or not file:
            raise PackageError(f"--input must be NAME=FILE (T2=t2.nii.gz), not {word!r}.")
        if name in files:
            raise PackageError(f"--input names {name} twice.")
        files[name] = Path(file)
    return files
