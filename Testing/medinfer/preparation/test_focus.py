"""A run restricted to a part of the scan finds there what a whole run finds there, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.errors import ScanError
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import load_package
from medinfer.preparation.focus import focused_on
from medinfer.volume import Volume

Make = Callable[..., Path]


def find(folder: Path, volume: Volume, **options: Any) -> Findings:
    package = load_package(folder)
    with open_package(package, backend="onnxruntime") as session:
        return run(volume, package, session, **options)


def around(volume: Volume, ras: Any, mm: float) -> Volume:
    """Looking at a block of some millimetres around a place."""
    middle, reach = volume.grid.to_index(ras), mm / 2 / np.array(volume.spacing)
    return focused_on(volume, np.floor(middle - reach).astype(int), np.ceil(middle + reach).astype(int) + 1)


def test_boxes_in_the_focus_are_those_of_a_whole_run(blob_package: Make, blob_scan: Any) -> None:
    volume, truth = blob_scan
    whole = find(blob_package(), volume)
    for center, _ in truth:
        part = find(blob_package(), around(volume, center, 24))
        expected = min(whole.boxes, key=lambda box: float(np.linalg.norm(np.array(box.center_ras) - center)))
        (box,) = part.boxes
        np.testing.assert_allclose(box.center_ras, expected.center_ras, atol=1e-6)
        np.testing.assert_allclose(box.size_mm, expected.size_mm, atol=1e-6)
        assert part.run["tiles"] < whole.run["tiles"]


def test_where_nothing_is_nothing_is_found(blob_package: Make, blob_scan: Any) -> None:
    volume, _ = blob_scan
    findings = find(blob_package(), focused_on(volume, (0, 0, 0), (6, 6, 6)))
    assert findings.boxes == ()
    assert findings.notes[0].startswith("only a region of 8 × 7 × 13 mm")


def test_landmarks_outside_the_focus_are_missing(dots_package: Make, dots_scan: Any) -> None:
    volume, truth = dots_scan
    findings = find(dots_package(), around(volume, truth["chest"], 26))
    assert [(mark.label, mark.status) for mark in findings.landmarks] == [
        ("head", "missing"), ("chest", "found"), ("foot", "missing"), ("tail", "missing")
    ]
    place = next(mark.position_ras for mark in findings.landmarks if mark.label == "chest")
    assert np.linalg.norm(np.subtract(place, truth["chest"])) < 1


def test_segments_outside_the_focus_leave_no_voxels(peas_package: Make, peas_scan: Volume) -> None:
    whole = find(peas_package(), peas_scan)
    wanted = next(segment for segment in whole.segments if segment.label == "42")
    part = find(peas_package(), around(peas_scan, wanted.center_ras, 8))
    (segment,) = part.segments
    assert segment.label == "42"
    assert part.label_map is not None
    assert set(np.unique(part.label_map.voxels)) == {0, segment.value}
    # A voxel or two lie differently where the box begins elsewhere.
    assert segment.volume_mm3 == pytest.approx(wanted.volume_mm3, rel=0.02)


def test_a_focus_is_cut_to_the_scan(blob_scan: Any) -> None:
    volume, _ = blob_scan
    focus = focused_on(volume, (-5, 10, -3), (7, 20, 500)).focus
    assert focus is not None
    assert focus.shape == (7, 10, 60)
    np.testing.assert_allclose(focus.to_ras((0, 0, 0)), volume.grid.to_ras((0, 10, 0)))


def test_a_focus_outside_the_scan_is_refused(blob_scan: Any) -> None:
    with pytest.raises(ScanError, match="region of interest lies outside blobs"):
        focused_on(blob_scan[0], (100, 0, 0), (120, 10, 10))


def test_a_focus_beside_what_the_model_looks_at_is_refused(blob_package: Make, blob_scan: Any) -> None:
    """The body of this scan is its larger ball; the corner holds none of it."""
    model = blob_package(lambda manifest: manifest["prepare"].update(region={"kind": "body", "margin_mm": 0}))
    assert len(find(model, blob_scan[0]).boxes) == 1
    with pytest.raises(ScanError, match="misses the part of blobs that this model searches"):
        find(model, focused_on(blob_scan[0], (0, 0, 0), (4, 4, 4)))


def test_it_holds_on_a_scan_stored_the_other_way_round(blob_package: Make, blob_scan: Any) -> None:
    volume, truth = blob_scan
    turned = np.diag([-1.0, 1, -1, 1])
    turned[:3, 3] = [volume.shape[2] - 1, 0, volume.shape[0] - 1]
    grid = replace(volume.grid, ijk_to_ras=volume.grid.ijk_to_ras @ turned)
    other = Volume(np.ascontiguousarray(volume.voxels[::-1, :, ::-1]), grid, "turned")
    center, _ = truth[0]
    one, two = (find(blob_package(), around(scan, center, 24)).boxes for scan in (volume, other))
    assert len(one) == len(two) == 1
    np.testing.assert_allclose(one[0].center_ras, two[0].center_ras, atol=1.5)
