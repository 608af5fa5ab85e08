"""What networks are given of a scan: a picture of three slices, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..manifest import Pass
from ..preparation.prepare import Prepared

# Smaller slices are enlarged by a whole number up to about this; larger ones stay as they are.
_LEAST_PIXELS = 192
_GAP = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """An image that a pass gave its network. name: of the pass, and of the image where they are several. voxels: the
    prepared ones in the network's own order of axes. spacing: mm along those axes."""

    name: str
    voxels: NDArray[np.float32]
    axes: str
    spacing: tuple[float, ...]

    @property
    def sentence(self) -> str:
        """Size, spacing and range in words."""
        size = " × ".join(map(str, self.voxels.shape))
        spacing = " × ".join(f"{value:.3g}" for value in self.spacing)
        low, middle, high = np.percentile(self.voxels, (0, 50, 100))
        return (
            f"{self.name} sees {size} voxels of {spacing} mm ({', '.join(self.axes)}), values {low:.4g} to {high:.4g}, "
            f"median {middle:.4g}"
        )


def seen_by(one: Pass, prepared: Prepared) -> list[Seen]:
    """The prepared images `[k, j, i]` as the pass's network has its axes."""
    order = ["zyx".index(axis) for axis in one.prepare.axes]
    spacing = tuple(prepared.grid.spacing[axis] for axis in order)
    images = (prepared.voxels, *prepared.further)
    several = [f"{one.name}, {image.image or 'scan'}," for image in one.network.images]
    names = several if len(images) > 1 else [one.name]
    return [
        Seen(name, voxels.transpose(order), one.prepare.axes, spacing)
        for name, voxels in zip(names, images, strict=True)
    ]


def picture_of(seen: Sequence[Seen]) -> NDArray[np.uint8]:
    """Grey `[row, column]`: a row for each image of each pass, and in it the middle slices across the first, second and
    third axis of its network's input, as arrays are printed (the first row on top). Black and white are its lowest and
    highest value.
    """
    rows = [_beside([_slice(one, axis) for axis in range(3)]) for one in seen]
    return _beside([row.T for row in rows]).T


def _slice(seen: Seen, axis: int) -> NDArray[np.uint8]:
    low, high = float(seen.voxels.min()), float(seen.voxels.max())
    plane = seen.voxels.take(seen.voxels.shape[axis] // 2, axis)
    grey: NDArray[np.uint8] = ((plane - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    times = max(1, _LEAST_PIXELS // max(plane.shape))
    enlarged: NDArray[np.uint8] = grey.repeat(times, axis=0).repeat(times, axis=1)
    return enlarged


def _beside(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """From left to right, the lower ones with black below them."""
    height = max(len(picture) for picture in pictures)
    padded = [np.pad(picture, ((0, height - len(picture)), (0, _GAP))) for picture in pictures]
    return np.concatenate(padded, axis=1)[:, :-_GAP]
