"""The sample scans of the extension: whole, small, and the bundled models find in them what was drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.library import find_package
from medinfer.scans.reading import read_volume
from medslicer.profiles import PROFILES
from medslicer.sample_scans import SAMPLE_SCANS, SampleScan


def findings_in(module: str) -> Findings:
    package = find_package(PROFILES[module].default_model)
    with open_package(package) as session:
        return run(read_volume(SAMPLE_SCANS[module].file), package, session)


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


def test_every_nodule_drawn_into_the_chest_is_found_and_nothing_else() -> None:
    from medtrain.phantoms.sample_data import draw_chest

    drawn, found = draw_chest().nodules, findings_in("MedDetect").boxes
    assert len(drawn) >= 3
    # LUNA16's rule: the box's centre lies within the nodule's radius.
    for nodule in drawn:
        off = [np.linalg.norm(np.subtract(box.center_ras, nodule.center_ras)) for box in found]
        assert min(off) <= nodule.diameter_mm / 2
    assert len(found) == len(drawn)


def test_every_vertebra_wholly_in_view_is_found_by_its_name() -> None:
    from medtrain.phantoms.sample_data import scan_spine

    found = {mark.label: mark.position_ras for mark in findings_in("MedLandmark").landmarks}
    drawn = scan_spine().truth
    assert {"L1", "L2", "L3", "L4", "L5"} <= set(drawn)
    for name, place in drawn.items():
        assert found[name] is not None, name
        assert np.linalg.norm(np.subtract(found[name], place)) <= 5, name


def test_nearly_every_tooth_is_found_by_its_number() -> None:
    from medtrain.phantoms.sample_data import scan_teeth

    found = {segment.label for segment in findings_in("MedToothSeg").segments}
    drawn = {str(number) for number in scan_teeth().whole}
    assert len(drawn) >= 28
    assert len(drawn & found) >= 28
    assert "Mandibular canal" in found
