"""The PNG writer, beside Matplotlib's reader."""

from __future__ import annotations

import io

import numpy as np
import pytest

from medinfer.png import png_bytes


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 4, 3)])
def test_what_is_written_is_read_back(shape: tuple[int, ...]) -> None:
    image = pytest.importorskip("matplotlib.image")
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    read = image.imread(io.BytesIO(png_bytes(pixels)), format="png")
    np.testing.assert_array_equal(np.rint(read * 255).astype(np.uint8), pixels)
