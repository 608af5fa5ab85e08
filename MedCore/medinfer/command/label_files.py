"""The label map of a run as a file, or as one a layer where segments overlap."""

from __future__ import annotations

from pathlib import Path

from ..label_map import LabelMap
from ..scans.writing import write_volume
from ..volume import Volume


def write_label_map(labels: LabelMap, volume: Volume, path: Path) -> None:
    """Write the labels on the whole grid of `volume` to `path` ("teeth.nii.gz"); of several layers each to its own file
    beside it, called by its number ("tumour-layer0.nii.gz"), which is a segment's `layer`. Raises OutputError."""
    if not labels.above:
        write_volume(labels.whole(volume), path)
        return
    stem, dot, suffix = path.name.partition(".")
    for number, layer in enumerate(labels.layers):
        write_volume(layer.whole(volume), path.with_name(f"{stem}-layer{number}{dot}{suffix}"))
