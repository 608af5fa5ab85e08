"""Findings survive JSON, and their CSV is what a spreadsheet expects."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from medinfer.command.console import findings_table
from medinfer.findings import Findings, Landmark, NoduleMeasures, box_from_index, neighbours_together
from medinfer.volume import Grid


def some_findings() -> Findings:
    matrix = np.diag([-0.7, -0.7, 2.5, 1.0])
    grid = Grid((100, 200, 200), matrix)
    boxes = tuple(
        box_from_index(grid, low, high, label="Nodule", score=score, side="left")
        for low, high, score in [((3, 5, 7), (6, 15, 19), 0.9), ((1.5, 2.25, 3), (4, 8, 9), 0.25)]
    )
    run = {"runtime": "openvino", "seconds": {"network": 1.5}}
    landmarks = (
        Landmark("L1", (1.0, -2.0, 3.5), 0.75, ("above T12",), (0.5, 1.0, 1.5)), Landmark("L2", None, 0.1)
    )
    return Findings(boxes, landmarks, "scan", "model 1.0.0", run, ("a note",))


def test_json_there_and_back_is_the_same() -> None:
    assert Findings.from_json(some_findings().to_json()) == some_findings()


@pytest.mark.parametrize("text", ["{}", '{"format": "medinfer-findings", "version": 2, "boxes": []}', "[]"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises((ValueError, AttributeError, TypeError)):
        Findings.from_json(text)


def test_the_csv_has_one_row_a_box_with_world_coordinates() -> None:
    rows = list(csv.DictReader(io.StringIO(some_findings().boxes_csv())))
    assert [row["rank"] for row in rows] == ["1", "2"]
    # Voxels 7…18 along i, spacing −0.7: the centre is −0.7 · 12.5.
    assert float(rows[0]["r_mm"]) == pytest.approx(-0.7 * 12.5)
    assert float(rows[0]["s_mm"]) == pytest.approx(2.5 * 4)
    assert float(rows[0]["diameter_mm"]) == pytest.approx((12 * 0.7 + 10 * 0.7 + 3 * 2.5) / 3, abs=0.01)


def test_the_csv_says_the_place_in_lps_and_in_voxels_and_the_scan() -> None:
    matrix = np.diag([-0.7, -0.7, 2.5, 1.0])
    grid = Grid((100, 200, 200), matrix)
    measured = NoduleMeasures(512.46, 12.25, 8.5, "part-solid")
    box = replace(box_from_index(grid, (3, 5, 7), (6, 15, 19), label="Nodule", score=0.9), measures=measured)
    findings = Findings((box,), scan="case", series="1.2.3")
    assert Findings.from_json(findings.to_json()) == findings
    for numbers, number in (((), "5"), (tuple(range(200, 100, -1)), "196"), ((7,), "5")):
        (row,) = csv.DictReader(io.StringIO(findings.boxes_csv(grid.to_index, numbers)))
        # Voxels 3…5, 5…14 and 7…18: the middle ones are 4, 9.5 and 12.5.
        assert (row["k"], row["slice"]) == ("4", number)
        assert (abs(int(row["j"]) - 9.5), abs(int(row["i"]) - 12.5)) == (0.5, 0.5)
        for lps, ras, sign in (("x", "r", -1), ("y", "a", -1), ("z", "s", 1)):
            assert float(row[f"{lps}_lps_mm"]) == pytest.approx(sign * float(row[f"{ras}_mm"]))
        assert (row["case"], row["seriesuid"]) == ("case", "1.2.3")
        assert (row["volume_mm3"], row["longest_mm"], row["kind"]) == ("512.5", "12.25", "part-solid")
    assert "-0.0" not in Findings((box,)).boxes_csv()
    (bare,) = csv.DictReader(io.StringIO(Findings((replace(box, measures=None),)).boxes_csv()))
    assert {bare[name] for name in ("volume_mm3", "kind", "i", "slice", "seriesuid")} == {""}


def test_a_grid_maps_there_and_back() -> None:
    generator = np.random.default_rng(0)
    matrix = np.eye(4)
    matrix[:3] = generator.normal(size=(3, 4))
    grid = Grid((4, 5, 6), matrix)
    points = generator.normal(size=(10, 3)) * 50
    np.testing.assert_allclose(grid.to_index(grid.to_ras(points)), points, atol=1e-8)
    # The definition: ijk_to_ras times (i, j, k, 1).
    k, j, i = points[0]
    np.testing.assert_allclose(grid.to_ras(points[0]), (matrix @ [i, j, k, 1])[:3], atol=1e-9)


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3), np.diag([1, 1, 0, 1])])
def test_a_grid_without_an_inverse_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="ijk_to_ras"):
        Grid((2, 2, 2), matrix)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("", ""), ("a", "a"), ("ab", "a–b"), ("abcde", "a–e"), ("acd", "a, c–d"), ("bde", "b, d–e"), ("ace", "a, c, e")],
)
def test_neighbours_of_a_list_are_said_together(missing: str, words: str) -> None:
    assert neighbours_together((letter, letter in missing) for letter in "abcde") == words


def test_landmarks_that_were_not_found_are_one_line_of_the_table() -> None:
    spine = [Landmark(f"L{n}", (0.0, 0.0, -30.0 * n) if n == 3 else None, 0.5) for n in range(1, 6)]
    _, found, missing = findings_table(Findings(landmarks=tuple(spine)))
    assert found.split()[0] == "L3"
    assert missing == "  not found: L1–L2, L4–L5"
    assert findings_table(Findings(landmarks=tuple(spine[:2]))) == ["  nothing found"]
