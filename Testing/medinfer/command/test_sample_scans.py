"""The sample scans of the extension: whole and small. What is found in them the tests of the bundled models say."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from medinfer.scans.reading import read_volume
from medslicer.profiles import PROFILES
from medslicer.sample_scans import SAMPLE_SCANS, SampleScan


def test_each_module_has_a_sample_scan() -> None:
    assert set(SAMPLE_SCANS) == set(PROFILES)
    assert len({scan.name for scan in SAMPLE_SCANS.values()}) == 3


@pytest.mark.parametrize("scan", SAMPLE_SCANS.values(), ids=lambda scan: scan.stem)
def test_a_sample_scan_is_the_file_that_its_checksum_says_and_small(scan: SampleScan) -> None:
    content = scan.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == scan.sha256
    assert len(content) <= 3e6
    assert read_volume(scan.file).voxels.dtype == np.int16
    assert scan.thumbnail.read_bytes().startswith(b"\x89PNG")
