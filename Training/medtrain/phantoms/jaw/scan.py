"""The cone-beam scan of a pair of jaws: field of view, blur, metal, cupping, noise, rings, and drifting grey values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.volume import Volume

from ..lattice import Array, Lattice, Mask
from ..shapes import clouds
from ..tissue_canvas import Box
from .spec import METALS, CbctSpec, Field, Jaws, JawScan, Tissue
from .streaks import add_streaks
from .tissue_greys import draw_greys

FIELDS: dict[Field, float] = {"large": 0.3, "both jaws": 0.3, "upper jaw": 0.12, "lower jaw": 0.13, "small": 0.15}
ANY_SCAN = CbctSpec()


def scan_jaws(jaws: Jaws, seed: int, spec: CbctSpec = ANY_SCAN) -> JawScan:
    """Scan a pair of jaws; the voxels are those it was drawn with, cut to the field of view.

    The volume's axes: k to the head, j to the back, i to the left. Its grey values are HU-like (int16) unless
    `spec.eight_bit`; teeth and canal lie on the same voxels.
    """
    rng = np.random.default_rng([seed, 7])
    kinds = tuple(FIELDS)
    field = spec.field or kinds[int(rng.choice(len(kinds), p=list(FIELDS.values())))]
    box = _field_of_view(rng, jaws, field)
    tissues, spacing = jaws.tissues[box], jaws.grid.spacing[0]
    grey = _render(rng, tissues, spacing)
    if spec.streaks:
        grey = add_streaks(grey, np.isin(tissues, METALS), rng, voxel_mm=spacing)
    grey = ndimage.gaussian_filter(grey, rng.uniform(0.1, 0.32) / spacing)
    round_field = _round(tissues.shape) if rng.random() < 0.5 else None
    if spec.drift:
        _cup(grey, rng, truncated=field != "large")
    noise = spec.noise if spec.noise is not None else float(np.exp(rng.uniform(np.log(0.03), np.log(0.16))))
    grey += _noise(rng, grey.shape, 1000 * noise)
    _rings(grey, rng, 300 * noise)
    voxels = _stored(grey, rng, spec, round_field)
    start = tuple(part.start for part in box)
    grid = jaws.grid.cropped((start[0], start[1], start[2]), tissues.shape)
    teeth, canal = jaws.teeth[box].copy(), jaws.canal[box].copy()
    if round_field is not None:  # nothing is seen beyond it
        teeth[:, ~round_field], canal[:, ~round_field] = 0, False
    volume = Volume(voxels, grid, f"jaw phantom {seed}", "CT")
    return JawScan(volume, teeth, canal, _whole(jaws.teeth, teeth))


def _field_of_view(rng: np.random.Generator, jaws: Jaws, field: Field) -> Box:
    """The voxels in view; a field larger than the phantom takes all there is."""
    (sz, sy, sx), spacing = jaws.grid.shape, jaws.grid.spacing[0]
    teeth = np.argwhere(jaws.teeth > 0)
    low, high = (teeth.min(axis=0), teeth.max(axis=0)) if len(teeth) else (np.zeros(3), np.array([sz, sy, sx]))
    middle = (low + high) / 2
    occlusal = jaws.grid.to_index((0.0, 0.0, 0.0))[0]
    wide = rng.uniform(95, 125)
    size = {
        "large": (rng.uniform(85, 110), 160, 160),
        "both jaws": (rng.uniform(70, 90), wide, wide),
        "upper jaw": (rng.uniform(40, 55), wide, wide),
        "lower jaw": (rng.uniform(40, 55), wide, wide),
        "small": (rng.uniform(45, 80),) + (rng.uniform(45, 80),) * 2,
    }[field]
    extent = np.array(size) / spacing
    if field == "small":  # about some tooth
        middle = teeth[rng.integers(len(teeth))].astype(float) if len(teeth) else middle
    if field == "upper jaw":
        middle[0] = occlusal + extent[0] / 2 - rng.uniform(3, 12) / spacing
    if field == "lower jaw":
        middle[0] = occlusal - extent[0] / 2 + rng.uniform(3, 12) / spacing
    middle = middle + rng.normal(0, 2.0, 3) / spacing
    if field == "large":
        middle[1:] = np.array([sy, sx]) / 2
    first = np.clip(np.rint(middle - extent / 2), 0, np.array([sz, sy, sx]) - 8).astype(int)
    last = np.clip(np.rint(middle + extent / 2), first + 8, (sz, sy, sx)).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return k, j, i


def _render(rng: np.random.Generator, tissues: NDArray[np.uint8], spacing: float) -> Array:
    """Grey values with the tissues' texture: fine grain, and coarser lumps of marrow in cancellous bone."""
    mean, texture = draw_greys(rng)
    grain = ndimage.gaussian_filter(rng.standard_normal(tissues.shape, dtype=np.float32), 0.35 / spacing, mode="wrap")
    grain /= grain.std() + 1e-9
    grey: Array = np.take(mean, tissues)
    grey += np.take(texture, tissues) * grain
    even = Lattice(*(np.arange(n) * spacing for n in tissues.shape))
    bone = np.isin(tissues, (Tissue.CANCELLOUS, Tissue.SPINE_CANCELLOUS))
    grey[bone] += np.float32(rng.uniform(40, 180)) * clouds(rng, even, 5.0)[bone]
    return grey


def _round(shape: tuple[int, ...]) -> Mask:
    """The cylinder that a turning detector sees, `[j, i]`."""
    _, rows, columns = shape
    y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    result: Mask = x * x + y * y <= 1
    return result


def _cup(grey: Array, rng: np.random.Generator, truncated: bool) -> None:
    """Darker in the middle of the head, slowly varying elsewhere; where the head is cut off its rim is too bright."""
    shape = grey.shape
    z, y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    radius2 = (x * x + y * y).astype(np.float32)
    depth = rng.uniform(0, 260)
    tilt = rng.normal(0, 60, 3)
    field = depth * (radius2 - 0.5) + tilt[0] * z + tilt[1] * y + tilt[2] * x
    if truncated:
        field = field + rng.uniform(50, 450) * np.clip(radius2, 0, 1.2) ** 4
    inside = np.clip((grey + 1000) / 1000, 0, 1)  # air stays air
    grey += field.astype(np.float32) * inside


def _noise(rng: np.random.Generator, shape: tuple[int, ...], level: float) -> Array:
    """Grain of a reconstruction: neighbouring voxels alike, without the lowest frequencies."""
    white = rng.standard_normal(shape, dtype=np.float32)
    size = rng.uniform(0.45, 0.85)
    grain = ndimage.gaussian_filter(white, size, mode="wrap")
    grain -= rng.uniform(0.3, 0.9) * ndimage.gaussian_filter(grain, 3 * size, mode="wrap")
    result: Array = grain * np.float32(level / (grain.std() + 1e-9))
    return result


def _rings(grey: Array, rng: np.random.Generator, level: float) -> None:
    """Circles about the axis of rotation from unequal detector columns, in some scans."""
    if rng.random() < 0.6:
        return
    _, rows, columns = grey.shape
    y, x = np.ogrid[:rows, :columns]
    radius = np.hypot(y - rows / 2, x - columns / 2).astype(int)
    profile = rng.standard_normal((radius.max() + 1,)).astype(np.float32)
    profile *= np.float32(level) * (rng.random(len(profile)) < 0.25) / np.sqrt(1 + np.arange(len(profile)) / 20)
    grey += profile.astype(np.float32)[radius]


def _stored(grey: Array, rng: np.random.Generator, spec: CbctSpec, inside: Mask | None) -> NDArray[np.int16]:
    """As a scanner's software stores it: shifted and stretched, clipped, 12 bits or 8; a constant outside the field."""
    if spec.drift:
        grey = grey * rng.uniform(0.7, 1.25) + rng.uniform(-300, 350)
    eight = spec.eight_bit if spec.eight_bit is not None else bool(rng.random() < 0.12)
    low, high = (-1000.0, 3071.0) if not spec.drift else (rng.uniform(-1024, -900), rng.uniform(3000, 5000))
    if eight:
        low, high = rng.uniform(-1000, -700), rng.uniform(2400, 3800)
        grey = (grey - low) * (255 / (high - low))
        low, high = 0.0, 255.0
    voxels = np.clip(np.rint(grey), low, high).astype(np.int16)
    if inside is not None:
        voxels[:, ~inside] = np.int16(low)
    return voxels


def _whole(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[int, ...]:
    """The numbers of the teeth that have lost no voxel."""
    every, kept = np.bincount(before.ravel(), minlength=256), np.bincount(after.ravel(), minlength=256)
    return tuple(int(n) for n in np.flatnonzero((every > 0) & (every == kept)) if n)
