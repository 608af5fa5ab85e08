"""Pictures of a scan's teeth, the true and the found ones side by side: for looking at, not for measuring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.volume import Volume

from ..datasets.tooth_names import FDI, is_upper
from ..metrics.tooth_metrics import CANAL, Labels, ToothScore, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_NAMED_FROM = 30  # pixels of an object in a view that gets its number written on it


def save_picture(path: Path, volume: Volume, true: Labels, found: Labels, score: ToothScore) -> None:
    """Write a PNG: rows truth and found; columns seen from the front, from the right, and an axial slice of each jaw.

    true, found: label maps on the volume's grid, whose axes point to left, back and head (as those of phantoms do).
    Only their surroundings are shown.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(20, 10), layout="constrained")
    colors = _colors()
    around = _around((true > 0) | (found > 0), volume.spacing)
    grey, true, found = np.asarray(volume.voxels)[around], true[around], found[around]
    levels = _levels(true)
    for row, (word, labels) in enumerate((("truth", true), ("found", found))):
        axes = [figure.add_subplot(2, 4, 4 * row + column) for column in range(1, 5)]
        for axis, (title, side) in zip(axes[:2], (("front", 1), ("right", 2)), strict=True):
            _view(axis, labels, colors, side, volume.spacing)
            axis.set_title(f"{word}, {title}")
        for axis, level in zip(axes[2:], levels, strict=True):
            _slice(axis, grey[level], labels[level], colors, volume.spacing)
            axis.set_title(f"{word}, slice {around[0].start + level}")
        for axis in axes:
            axis.set_axis_off()
    figure.suptitle(line(score), wrap=True)
    figure.savefig(path, dpi=70)


def _around(there: NDArray[np.bool_], spacing: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """The box of what is there with a margin of 8 mm; everything where nothing is."""
    boxes = ndimage.find_objects(there.view(np.uint8)) or [tuple(slice(0, size) for size in there.shape)]
    k, j, i = (
        slice(max(part.start - round(8 / step), 0), part.stop + round(8 / step))
        for part, step in zip(boxes[0], spacing, strict=True)
    )
    return k, j, i


def _colors() -> Floats:
    """RGB of every value `[256, 3]`: neighbours along the arch and opposite teeth differ."""
    from matplotlib import colormaps

    wheel = colormaps["tab20"]
    table = np.array([wheel(((value % 10) * 3 + value // 10 * 7) % 20)[:3] for value in range(256)])
    table[0], table[CANAL] = 0, (1, 0.3, 0.3)
    return table


def _levels(true: Labels) -> tuple[int, int]:
    """The slices in which most voxels of upper teeth lie, and most of lower ones; the middle where there are none."""
    upper = np.array([number for number in FDI if is_upper(number)], np.uint8)
    lower = np.array([number for number in FDI if not is_upper(number)], np.uint8)
    counts = [np.isin(true, numbers).sum(axis=(1, 2)) for numbers in (upper, lower)]
    first, second = (int(count.argmax()) if count.any() else len(true) // 2 for count in counts)
    return first, second


def _view(axis: Axes, labels: Labels, colors: Floats, side: int, spacing: tuple[float, float, float]) -> None:
    """What is hit first along an axis, shaded by how steep it is; the head is up."""
    deep = np.moveaxis(labels, side, 0)
    hit = (deep > 0).argmax(axis=0)
    seen = np.take_along_axis(deep, hit[None], axis=0)[0]
    slopes = np.gradient(ndimage.gaussian_filter(hit.astype(np.float64), 0.8))
    shade = 1 / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
    picture = colors[seen] * (0.3 + 0.7 * shade[..., None])
    across = spacing[2] if side == 1 else spacing[1]
    _draw(axis, picture, seen, spacing[0] / across, "lower")


def _slice(
    axis: Axes, grey: NDArray[Any], labels: Labels, colors: Floats, spacing: tuple[float, float, float]
) -> None:
    low, high = np.percentile(grey, [1, 99.7])
    picture = np.repeat(np.clip((grey - low) / max(high - low, 1), 0, 1)[..., None], 3, axis=2)
    rim = (labels > 0) & (labels != ndimage.grey_erosion(labels, size=(3, 3)))
    picture[rim] = colors[labels[rim]]
    _draw(axis, picture, labels, spacing[1] / spacing[2], "upper")


def _draw(axis: Axes, picture: Floats, labels: Labels, aspect: float, origin: Literal["upper", "lower"]) -> None:
    axis.imshow(picture, origin=origin, aspect=aspect, interpolation="nearest")
    for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[1:] >= _NAMED_FROM) + 1:
        if value != CANAL:
            y, x = ndimage.center_of_mass(labels == value)
            axis.text(x, y, str(value), color="white", ha="center", va="center", fontsize=9, weight="bold")
