"""Metal artefacts: what beam hardening and too few photons behind metal leave in filtered back-projection.

Per slice, in parallel-beam geometry (after Kak & Slaney, Principles of Computerized Tomographic Imaging, chapter 3):
the path length through metal is projected; a measured projection falls short of it (hardening) and is noisy where it is
long (starvation). The error, ramp-filtered and back-projected, is added to the slice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from ..lattice import Array, Mask

ANGLES = 90
FINEST = 150  # pixels along a side of the largest slice that is projected as it is


def add_streaks(
    image: Array, metal: Mask, rng: np.random.Generator, *, scale: float = 1000.0, voxel_mm: float = 0.5
) -> NDArray[np.float32]:
    """The image `[k, j, i]` with streaks in every slice k that holds metal; other slices and the metal itself stay.

    metal: `[k, j, i]`. scale: grey values from air to water. voxel_mm: size of a pixel in the plane.
    """
    result = np.array(image, np.float32)
    slices = np.flatnonzero(metal.any(axis=(1, 2)))
    if not len(slices):
        return result
    rows, columns = metal.shape[1:]
    side = max(rows, columns)
    coarse = 2 if side <= 2 * FINEST else -(-side // FINEST)
    size = -(-side // coarse)
    padded = np.zeros((len(slices), size * coarse, size * coarse), np.float32)
    padded[:, :rows, :columns] = metal[slices]
    binned = padded.reshape(len(slices), size, coarse, size, coarse).mean(axis=(2, 4))
    projector = _projector(size)
    path = (projector @ binned.reshape(len(slices), -1).T) * np.float32(
        coarse * voxel_mm
    )  # mm of metal, [rays, slices]
    error = _error(path, rng)
    streaks = (projector.T @ _ramp(error, size)).T.reshape(len(slices), size, size)
    streaks *= np.float32(scale * np.pi / ANGLES / (coarse * voxel_mm))
    between = _between(size, coarse)
    result[slices] += np.where(metal[slices], np.float32(0), between[:rows] @ streaks @ between[:columns].T)
    return result


def _error(path: Array, rng: np.random.Generator) -> Array:
    """Measured less true projection, as mm of water, for path lengths in mm of metal.

    The measured path saturates over a millimetre or two, as the soft part of the spectrum is used up; the fewer photons
    are left, the noisier it is.
    """
    metal_in_water, saturation = rng.uniform(3.0, 14.0), np.float32(rng.uniform(0.8, 3.0))
    lost = path + saturation * np.expm1(-path / saturation)
    starved = np.float32(rng.uniform(0.3, 2.0)) * np.expm1(np.minimum(0.4 * path, 3.5))
    grain = rng.standard_normal(path.shape, dtype=np.float32)
    grain[:, 1:] = 0.8 * grain[:, 1:] + 0.6 * grain[:, :-1]  # detector rows overlap: neighbouring slices are alike
    error = starved * grain - np.float32(metal_in_water) * lost
    result: Array = np.where(path > 0.05, error, 0).astype(np.float32)
    return result


def _ramp(error: Array, size: int) -> Array:
    """Each projection convolved with the band-limited ramp (Kak & Slaney, eq. 61), with a Hann window."""
    bins = _bins(size)
    long = fft.next_fast_len(2 * bins, real=True)
    n = np.minimum(np.arange(long), long - np.arange(long))
    kernel = np.zeros(long)
    kernel[0] = 0.25
    kernel[n % 2 == 1] = -1 / (np.pi * n[n % 2 == 1]) ** 2
    response = fft.rfft(kernel).real * (0.5 + 0.5 * np.cos(np.pi * np.arange(long // 2 + 1) / (long // 2 + 1)))
    rays = error.reshape(ANGLES, bins, -1)
    filtered = fft.irfft(fft.rfft(rays, long, axis=1) * response.astype(np.float32)[None, :, None], long, axis=1)
    result: Array = np.ascontiguousarray(filtered[:, :bins].reshape(error.shape), dtype=np.float32)
    return result


def _bins(size: int) -> int:
    return int(np.ceil(size * np.sqrt(2))) + 3


def _between(size: int, coarse: int) -> Array:
    """Linear interpolation from coarse pixels to fine ones, `[size * coarse, size]`; the ends are held."""
    place = np.clip((np.arange(size * coarse) + 0.5) / coarse - 0.5, 0, size - 1)
    result: Array = np.clip(1 - np.abs(place[:, None] - np.arange(size)), 0, 1).astype(np.float32)
    return result


@lru_cache(maxsize=4)
def _projector(size: int) -> sparse.csr_array:
    """Pixels of a square slice to parallel rays: `[ANGLES * bins, size * size]`; each pixel goes to two bins."""
    bins = _bins(size)
    row, column = np.mgrid[:size, :size].reshape(2, -1) - (size - 1) / 2
    pixel = np.arange(size * size)
    rays, weights = [], []
    for n, angle in enumerate(np.arange(ANGLES) * np.pi / ANGLES):
        place = row * np.sin(angle) + column * np.cos(angle) + bins / 2
        base = np.floor(place).astype(np.int32)
        share = (place - base).astype(np.float32)
        rays += [n * bins + base, n * bins + base + 1]
        weights += [1 - share, share]
    shape = ANGLES * bins, size * size
    pixels = np.tile(pixel, len(rays))
    return sparse.csr_array((np.concatenate(weights), (np.concatenate(rays), pixels)), shape=shape)
