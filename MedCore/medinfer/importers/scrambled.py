"""ONNX files whose bytes were combined with a key's over and over (XOR), as some programs hide their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..backends.onnx_weights import weight_files
from ..errors import PackageError


def plain_copy(path: Path, key: str, folder: Path) -> Path:
    """The network as it was before, in `folder`, which is made. Raises PackageError where the key does not fit, or the
    graph keeps its weights in other files."""
    told = key.encode("utf-8")
    if not told:
        raise PackageError("--xor-key must not be empty.")
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise PackageError(f"{path} cannot be read ({error.strerror or error}).") from None
    content ^= np.resize(np.frombuffer(told, np.uint8), content.size)
    plain = content.tobytes()
    try:
        beside = weight_files(plain, path)
    except PackageError:
        raise PackageError(f"{path} is no ONNX network behind the key {key!r}: give the right --xor-key.") from None
    if beside:
        raise PackageError(f"{path} keeps its weights in {', '.join(beside)}: give a network that contains them.")
    folder.mkdir()
    found = folder / f"{path.stem}.onnx"
    found.write_bytes(plain)
    return found
