"""What the scanner does to the patient: slice profile, kernel, correlated noise, field of view, int16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..kernel import noise_spectrum, transfer_function
from ..lattice import Array, Floats, Lattice, transfer
from .physique import Physique
from .spec import ChestSpec


@dataclass(frozen=True)
class Scanner:
    """thickness: full width of the slice profile, mm. sharpness: 0 soft … 1 sharp. noise: HU in the middle."""

    pixel: float
    matrix: int
    thickness: float
    spacing: float
    sharpness: float
    noise: float
    padding: int
    center: tuple[float, float]

    @property
    def field_of_view(self) -> float:
        return self.pixel * self.matrix


def draw_scanner(rng: np.random.Generator, spec: ChestSpec, physique: Physique) -> Scanner:
    thickness = spec.slice_thickness_mm
    if thickness is None:
        usual = {0.625: 0.08, 1.0: 0.14, 1.25: 0.22, 1.5: 0.1, 2.0: 0.14, 2.5: 0.22, 3.0: 0.1}
        thickness = float(rng.choice(list(usual), p=list(usual.values())))
    spacing = spec.slice_spacing_mm or max(0.6, thickness * float(rng.choice([1.0, 0.8, 0.7], p=[0.6, 0.25, 0.15])))
    view = spec.field_of_view_mm or 2 * physique.half_width * rng.uniform(1.18, 1.5)
    pixel = spec.pixel_mm or float(np.clip(view / 512, 0.6, 0.9))
    matrix = 512 if spec.pixel_mm is None and spec.field_of_view_mm is None else int(np.ceil(view / pixel))
    sharpness = spec.sharpness if spec.sharpness is not None else float(rng.beta(1.3, 1.5))
    noise = spec.noise_hu
    if noise is None:
        noise = float(np.exp(rng.uniform(np.log(9), np.log(28)))) * (0.8 + 1.0 * sharpness) / thickness**0.25
    center = (rng.uniform(-8, 8), rng.uniform(-12, 12))
    return Scanner(pixel, matrix, thickness, spacing, sharpness, noise, int(rng.choice([-1024, -2048, -2000])), center)


def through_slices(values: Array, fine: Floats, slices: Floats, thickness: float) -> Array:
    """Means of `values[k, j, i]` (at z = `fine`) over a box of the slice's thickness around each z of `slices`."""
    step = fine[1] - fine[0]
    result = np.zeros((len(slices), *values.shape[1:]), np.float32)
    for n, z in enumerate(slices):
        overlap = np.minimum(z + thickness / 2, fine + step / 2) - np.maximum(z - thickness / 2, fine - step / 2)
        weight = np.maximum(overlap, 0) / np.maximum(overlap, 0).sum()
        for k in np.flatnonzero(weight):
            result[n] += values[k] * np.float32(weight[k])
    return result


def scan(hu: Array, loud: Array, scanner: Scanner, rng: np.random.Generator) -> Array:
    """Blur each slice with the kernel and add noise of amplitude `loud` (relative), in place.

    hu, loud: `[k, j, i]`. Neighbouring slices share noise as far as their profiles overlap.
    """
    slices, rows, columns = hu.shape
    size = fft.next_fast_len(rows + 8, real=True), fft.next_fast_len(columns + 8, real=True)
    frequency = np.hypot(fft.fftfreq(size[0], scanner.pixel)[:, None], fft.rfftfreq(size[1], scanner.pixel)[None, :])
    kernel, spectrum = transfer_function(frequency, scanner.sharpness), noise_spectrum(frequency, scanner.sharpness)
    overlap = max(0.0, 1 - scanner.spacing / scanner.thickness) * 0.9
    level = scanner.noise / np.sqrt(1 + overlap**2)
    level *= size[0] * size[1] / np.sqrt(4 * float(np.sum(spectrum.astype(np.float64) ** 2)))
    before: Array | None = None
    for k in range(-1, slices):
        white = rng.standard_normal((*frequency.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        grain = fft.irfft2(white * (spectrum * np.float32(level)), size)[:rows, :columns]
        if before is not None:
            blurred = fft.irfft2(fft.rfft2(hu[k] + 1000, size) * kernel, size)[:rows, :columns] - 1000
            hu[k] = blurred + (grain + overlap * before) * loud[k]
        before = grain
    return hu


def loudness(hu: Array, coarse: Lattice, target: Lattice, scanner: Scanner) -> Array:
    """Relative noise amplitude: grows with the attenuation that the rays meet, louder in the shoulders."""
    dense = np.clip((hu + 1000) / 1000, 0, 1.6)
    step = abs(float(coarse.step[1]))
    across = dense.sum(axis=2, keepdims=True) * step  # mm of water along i, for each row
    along = dense.sum(axis=1, keepdims=True) * step
    path = 0.5 * (across + along)
    amplitude = np.clip(np.exp((path - 230) * 0.0045), 0.35, 2.2).astype(np.float32)
    return transfer(np.broadcast_to(amplitude, hu.shape), coarse, target)


def finish(hu: Array, lattice: Lattice, scanner: Scanner) -> NDArray[np.int16]:
    """int16 HU; air does not go below −1024 and the padding outside the circular field of view is −1024 or less."""
    _, y, x = lattice.open()
    middle_y, middle_x = float(np.mean(lattice.y)), float(np.mean(lattice.x))
    outside = (y - middle_y) ** 2 + (x - middle_x) ** 2 > (scanner.field_of_view / 2) ** 2
    result = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    result[:, outside[0]] = scanner.padding
    return result
