"""The table of a run's findings."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.findings import Findings, Landmark, NoduleMeasures
from medinfer.volume import Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.named_segments import named_segments
from medslicer.nodes.tables import add_box_table, add_landmark_table, add_segment_table

MEASURES = NoduleMeasures(512.5, 12.25, 8.5, "part-solid")
NUMBERS = ("score", "diameter_mm", "r_mm", "a_mm", "s_mm")


def rows(table: Any) -> list[dict[str, Any]]:
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    return [
        {name: table.GetTable().GetValue(row, column).ToString() for column, name in enumerate(names)}
        for row in range(table.GetNumberOfRows())
    ]


def check(table: Any, findings: Findings) -> None:
    for rank, (row, box) in enumerate(zip(rows(table), findings.boxes, strict=True), start=1):
        assert (int(row["rank"]), row["label"], row["side"]) == (rank, box.label, box.side)
        assert float(row["score"]) == pytest.approx(box.score, abs=1e-6)
        assert float(row["diameter_mm"]) == pytest.approx(box.diameter_mm, rel=1e-5)
        centre = [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")]
        assert centre == pytest.approx(box.center_ras, rel=1e-5)


def test_a_row_a_finding_best_first(scene: Any, findings: Findings) -> None:
    check(add_box_table(scene, findings.boxes, "Nodules"), findings)


def test_titles_are_the_headers_and_lengths_have_units(scene: Any, findings: Findings) -> None:
    table = add_box_table(scene, findings.boxes, "Nodules")
    assert table.GetUseColumnTitleAsColumnHeader()
    assert table.GetColumnTitle("diameter_mm") == "Diameter"
    assert {name: table.GetColumnUnitLabel(name) for name in NUMBERS} == {
        "score": "", "diameter_mm": "mm", "r_mm": "mm", "a_mm": "mm", "s_mm": "mm",
    }
    assert all(table.GetColumnDescription(name) for name in NUMBERS)


def test_the_columns_are_those_of_the_csv(scene: Any, findings: Findings) -> None:
    table = add_box_table(scene, findings.boxes, "Nodules")
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    # The scan's own voxels and name stand in the file alone.
    assert names == findings.boxes_csv().splitlines()[0].split(",")[:len(names)]
    assert names[-1] == "kind"


def test_measures_stand_in_the_table_where_they_were_taken(scene: Any, findings: Findings) -> None:
    best, *others = findings.boxes
    table = add_box_table(scene, (replace(best, measures=MEASURES), *others), "Nodules")
    first, second, *_ = rows(table)
    assert [float(first[name]) for name in ("volume_mm3", "longest_mm", "perpendicular_mm")] == [512.5, 12.25, 8.5]
    assert (first["kind"], second["kind"]) == ("part-solid", "")
    assert isnan(float(second["volume_mm3"]))
    assert table.GetColumnUnitLabel("volume_mm3") == "mm³"


def test_a_run_that_found_nothing_has_an_empty_table(scene: Any) -> None:
    table = add_box_table(scene, (), "Nodules")
    assert table.GetNumberOfRows() == 0
    assert table.GetColumnTitle("score") == "Score"


def test_a_scene_bundle_keeps_numbers_types_titles_and_units(
    scene: Any, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    add_box_table(scene, findings.boxes, "Nodules")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (table,) = nodes_of(other.scene, "vtkMRMLTableNode")
        check(table, findings)
        assert table.GetUseColumnTitleAsColumnHeader()
        assert (table.GetColumnTitle("r_mm"), table.GetColumnUnitLabel("r_mm")) == ("R", "mm")
        assert table.GetTable().GetColumnByName("score").IsNumeric()


def test_a_row_a_landmark_in_the_lists_order_missing_ones_included(
    scene: Any, landmarks: tuple[Landmark, ...]
) -> None:
    table = add_landmark_table(scene, landmarks, "Landmarks")
    check_landmarks(table, landmarks)
    assert table.GetColumnTitle("to_next_mm") == "To next"
    assert [table.GetColumnUnitLabel(name) for name in ("r_mm", "a_mm", "s_mm", "to_next_mm")] == ["mm"] * 4


def check_landmarks(table: Any, landmarks: tuple[Landmark, ...]) -> None:
    read = rows(table)
    assert [row["label"] for row in read] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert [row["status"] for row in read] == ["found", "found", "missing", "flagged", "found", "missing"]
    assert [row["flags"] for row in read] == ["", "", "", "above L1; too near L4", "", ""]
    for row, landmark in zip(read, landmarks, strict=True):
        place = landmark.position_ras or (np.nan,) * 3
        assert [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")] == pytest.approx(place, abs=1e-3, nan_ok=True)
        assert float(row["confidence"]) == pytest.approx(landmark.confidence, abs=1e-6)
    # From T12 to L1 and from L3 to L4; L2 between them is missing.
    to_next = np.full(6, np.nan)
    for at in (0, 3):
        to_next[at] = np.linalg.norm(np.subtract(landmarks[at + 1].position_ras, landmarks[at].position_ras))
    assert [float(row["to_next_mm"]) for row in read] == pytest.approx(to_next, rel=1e-5, nan_ok=True)


def test_the_columns_of_landmarks_are_those_of_their_csv(scene: Any, landmarks: tuple[Landmark, ...]) -> None:
    table = add_landmark_table(scene, landmarks, "Landmarks")
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert names == Findings(landmarks=landmarks).landmarks_csv().splitlines()[0].split(",")


def test_a_scene_bundle_keeps_the_rows_of_landmarks(
    scene: Any, landmarks: tuple[Landmark, ...], tmp_path: Path
) -> None:
    add_landmark_table(scene, landmarks, "Landmarks")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (table,) = nodes_of(other.scene, "vtkMRMLTableNode")
        check_landmarks(table, landmarks)
        assert table.GetTable().GetColumnByName("to_next_mm").IsNumeric()


def check_segments(table: Any, jaw: Any) -> None:
    read = rows(table)
    assert [row["label"] for row in read] == [
        "16", "11", "26", "36", "46", "Tooth without number 1", "Mandibular canal"
    ]
    assert [row["fdi"] for row in read] == ["16", "11", "26", "36", "46", "", ""]
    assert read[1]["name"] == "Permanent maxillary right central incisor tooth"
    assert [row["flags"] for row in read] == ["", "", "", "", "", "number unsure; alone: no neighbour", ""]
    for row, segment in zip(read, jaw.findings.segments, strict=True):
        assert int(row["value"]) == segment.value
        for column, number in [
            ("volume_mm3", segment.volume_mm3), ("length_mm", segment.length_mm), ("confidence", segment.confidence),
        ]:
            assert float(row[column]) == pytest.approx(number, rel=1e-5)
        assert [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")] == pytest.approx(segment.center_ras, rel=1e-5)


def test_a_row_a_segment_with_number_name_volume_and_length(scene: Any, jaw: Any) -> None:
    table = add_segment_table(scene, named_segments(jaw.findings.segments, jaw.labels), "Teeth")
    check_segments(table, jaw)
    units = {name: table.GetColumnUnitLabel(name) for name in ("volume_mm3", "length_mm", "confidence")}
    assert units == {"volume_mm3": "mm³", "length_mm": "mm", "confidence": ""}
    assert (table.GetColumnTitle("fdi"), table.GetColumnTitle("volume_mm3")) == ("FDI", "Volume")


def test_a_scene_bundle_keeps_the_rows_of_segments(scene: Any, jaw: Any, tmp_path: Path) -> None:
    add_segment_table(scene, named_segments(jaw.findings.segments, jaw.labels), "Teeth")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (table,) = nodes_of(other.scene, "vtkMRMLTableNode")
        check_segments(table, jaw)
        # A number that is a name stays a word: 11 is not more than 8.
        assert not table.GetTable().GetColumnByName("fdi").IsNumeric()
        assert table.GetColumnUnitLabel("volume_mm3") == "mm³"
