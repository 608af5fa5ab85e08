"""What a reconstruction kernel does to the frequencies of a slice, and to its noise."""

from __future__ import annotations

import numpy as np

from .lattice import Array, Floats


def transfer_function(frequency: Floats, sharpness: float) -> Array:
    """Response of the kernel at a frequency (cycles/mm): a Gaussian fall, with a little edge enhancement if sharp."""
    sigma = 0.62 - 0.30 * sharpness  # mm
    fall = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
    lift = 1 + 0.55 * sharpness * (1 - np.exp(-((frequency / 0.28) ** 2)))
    return np.asarray(fall * lift, dtype=np.float32)


def noise_spectrum(frequency: Floats, sharpness: float) -> Array:
    """Amplitude of filtered back-projection noise: the root of ramp × kernel²."""
    ramp = np.sqrt(frequency + 0.015)
    return np.asarray(ramp * transfer_function(frequency, 0.85 * sharpness), dtype=np.float32)
