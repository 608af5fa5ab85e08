"""Headers that contradict what follows them: refused, or read with a note that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ct_slices import ROWS, changed, save, stack

from medinfer.errors import ScanError
from medinfer.scans.reading import read_volume

HEIGHTS = 2.5 * np.arange(8)


@pytest.mark.parametrize("fields", [
    {"Rows": ROWS // 2}, {"Rows": ROWS - 1}, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
])
def test_more_pixels_than_the_header_says_are_not_cut_off(tmp_path: Path, fields: dict[str, Any]) -> None:
    save(tmp_path / "ct", changed(stack(HEIGHTS), **fields))
    with pytest.raises(ScanError, match=r"\(its pixel data do not match the size in its header\); copy or export it"):
        read_volume(tmp_path / "ct")


def test_bytes_of_padding_behind_the_pixels_are_no_contradiction(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        data.PixelData += bytes(8)
    assert read_volume(save(tmp_path / "ct", slices)).notes == ()
