"""What a model's networks are given of a scan, told and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..atomic_files import atomic_path
from ..errors import PackageError
from ..inference.prepared_picture import Seen, picture_of, seen_by
from ..library.package import ModelPackage
from ..png import png_bytes
from ..preparation.hounsfield import in_hounsfield
from ..preparation.prepare import prepare
from ..volume import Volume
from .console import Console


def show(package: ModelPackage, volume: Volume, picture: Path, console: Console) -> None:
    """Prepare the scan as each pass that looks at the scan itself would have it, tell that, and draw it as PNG. No
    network runs. Raises PackageError for a model of several images, ScanError, OutputError."""
    manifest = package.manifest
    if len(manifest.images) > 1:
        raise PackageError(f"{package.id} looks at several images; install it, and use medinfer check --scan --input.")
    volume = in_hounsfield(volume, [one.prepare for one in manifest.passes])
    for note in volume.notes:
        console.say(f"note: {note}")
    first = [one for one in manifest.passes if one.looks_at is None]
    tell([seen for one in first for seen in seen_by(one, prepare(volume, one.prepare))], picture, console)


def tell(seen: Sequence[Seen], picture: Path, console: Console) -> None:
    """Say size, spacing and values, and write the picture. Raises OutputError."""
    for entry in seen:
        console.say(entry.sentence)
        console.event("seen", {"pass": entry.name, "shape": entry.voxels.shape, "spacing": entry.spacing,
                               "low": float(entry.voxels.min()), "high": float(entry.voxels.max())})
    if seen:
        with atomic_path(picture) as partial:
            partial.write_bytes(png_bytes(picture_of(seen)))
        console.say(f"the middle slices of what it sees are in {picture}")
