"""A run restricted to a part of the scan.

The whole scan is still there: lungs and body are found in it as ever, and the network sees some of what lies around
the part, as it did when it was trained. What is found outside of the part is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import ScanError
from ..findings import Box, Landmark, Segment, Vector
from ..label_map import LabelMap
from ..volume import Floats, Grid, Volume

# How far around the part the network sees.
_CONTEXT_MM = 20.0
Corner = tuple[int, int, int]


def focused_on(volume: Volume, low: Sequence[int], high: Sequence[int]) -> Volume:
    """`volume` with the voxels [low, high) (k, j, i) to look at. Raises ScanError where none of them is in it."""
    first = np.maximum(low, 0)
    size = np.minimum(high, volume.shape) - first
    if (size < 1).any():
        raise ScanError(f"The region of interest lies outside {volume.name}; move it into the scan.")
    return replace(volume, focus=volume.grid.cropped(_corner(first), _corner(size)))


def narrowed(focus: Grid, target: Grid, low: Floats, high: Floats, name: str) -> tuple[Corner, Corner]:
    """Of the box [low, high) of `target` (k, j, i) what lies in or near `focus`.

    Raises ScanError where that is nothing: what the model looks for lies elsewhere.
    """
    ends = [(-0.5, n - 0.5) for n in focus.shape]
    corners = target.to_index(focus.to_ras(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)))
    near = _CONTEXT_MM / np.array(target.spacing)
    # The focus itself must meet the box, or the network would see nothing but surroundings.
    if (corners.max(axis=0) < low).any() or (corners.min(axis=0) > np.array(high) - 1).any():
        raise ScanError(f"The region of interest misses the part of {name} that this model searches; move it there.")
    first = np.maximum(low, np.floor(corners.min(axis=0) - near).astype(int))
    last = np.minimum(high, np.ceil(corners.max(axis=0) + near).astype(int) + 1)
    return _corner(first), _corner(last)


def in_focus(volume: Volume, place: Vector | None) -> bool:
    """Whether a place (RAS mm) lies where the run looks."""
    if volume.focus is None or place is None:
        return True
    index = volume.focus.to_index(place)
    return bool((index >= -0.5).all() and (index <= np.array(volume.focus.shape) - 0.5).all())


def boxes_in_focus(volume: Volume, boxes: Sequence[Box]) -> tuple[Box, ...]:
    """The boxes whose centre lies in the focus."""
    return tuple(box for box in boxes if in_focus(volume, box.center_ras))


def landmarks_in_focus(volume: Volume, landmarks: Sequence[Landmark]) -> tuple[Landmark, ...]:
    """The others count as missing; where several have one label, they are left out."""
    names = [landmark.label for landmark in landmarks]
    return tuple(
        landmark if in_focus(volume, landmark.position_ras) else replace(landmark, position_ras=None, flags=())
        for landmark in landmarks if in_focus(volume, landmark.position_ras) or names.count(landmark.label) == 1
    )


def segments_in_focus(
    volume: Volume, segments: Sequence[Segment], labels: LabelMap
) -> tuple[tuple[Segment, ...], LabelMap]:
    """Those whose centre of mass lies there, and their voxels alone."""
    kept = tuple(segment for segment in segments if in_focus(volume, segment.center_ras))
    if len(kept) == len(segments):
        return kept, labels
    table = np.zeros(256, np.uint8)
    for segment in kept:
        table[segment.value] = segment.value
    return kept, replace(labels, voxels=table[labels.voxels], above=tuple(table[layer] for layer in labels.above))


def focus_note(volume: Volume) -> tuple[str, ...]:
    """A note for the user that only a region was searched."""
    if volume.focus is None:
        return ()
    size = [n * mm for n, mm in zip(volume.focus.shape, volume.focus.spacing, strict=True)][::-1]
    return (f"only a region of {' × '.join(f'{mm:.0f}' for mm in size)} mm was searched",)


def _corner(values: Floats | np.ndarray[tuple[int], np.dtype[np.int_]]) -> Corner:
    k, j, i = (int(value) for value in values)
    return k, j, i
