"""A run's findings in the scene: rows, reviews, what the views show, and all of it after saving and loading."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.labelmaps import segment_id
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.volumes import add_volume
from medslicer.results.result import Result, results_in
from medslicer.results.result_rows import read_score

BOXES = "vtkMRMLMarkupsROINode"


def test_boxes_are_rows_with_size_side_score_and_place(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    assert [(row.number, row.title, row.detail) for row in result.rows] == [
        (1, "Nodule 1", "7.1 mm, left lung"), (2, "Nodule 2", "5.4 mm, right lung"), (3, "Nodule 3", "1.5 mm"),
    ]
    for row, box in zip(result.rows, nodule_case.findings.boxes, strict=True):
        assert (row.score, row.status, row.review, row.flags) == (box.score, "found", "", ())
        assert row.position_world == pytest.approx(box.center_ras, abs=1e-9)


def test_landmarks_are_rows_with_their_status_flags_and_steps(scene: Any, landmark_case: Any) -> None:
    rows = landmark_case.add(scene).rows
    assert [(row.title, row.status) for row in rows] == [
        ("T12", "found"), ("L1", "found"), ("L2", "missing"), ("L3", "flagged"), ("L4", "found"), ("L5", "missing"),
    ]
    first, second, _, third, *_ = landmark_case.findings.landmarks
    assert rows[0].detail == f"{np.linalg.norm(np.subtract(first.position_ras, second.position_ras)):.1f} mm"
    assert rows[1].detail == ""
    assert rows[3].flags == third.flags
    assert (rows[2].position_world, rows[5].position_world) == (None, None)


def test_segments_are_rows_with_number_volume_and_length(scene: Any, teeth_case: Any) -> None:
    rows = teeth_case.add(scene).rows
    assert [(row.title, row.fdi, row.status) for row in rows] == [
        ("16", "16", "found"), ("11", "11", "found"), ("26", "26", "found"), ("36", "36", "found"),
        ("46", "46", "found"), ("Tooth without number 1", "", "flagged"), ("Mandibular canal", "", "found"),
    ]
    tooth = teeth_case.findings.segments[0]
    assert rows[0].detail == f"{tooth.length_mm:.1f} mm, {tooth.volume_mm3:.0f} mm³"
    assert rows[0].position_world == pytest.approx(tooth.center_ras, abs=1e-9)


def test_under_a_parent_transform_rows_stand_where_the_scan_is_shown(
    scene: Any, any_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]]
) -> None:
    before = [row.position_world for row in any_case.add(scene).rows]
    volume_node = add_volume(scene, any_case.volume)
    matrix = put_under_transform(volume_node)
    for row, place in zip(any_case.add_to(scene, volume_node).rows, before, strict=True):
        moved = None if place is None else pytest.approx((matrix @ (*place, 1))[:3], abs=1e-4)
        assert row.position_world == moved


def test_a_run_without_findings_is_a_result_without_rows(scene: Any, any_case: Any) -> None:
    result = dataclasses.replace(any_case, findings=Findings(notes=("nothing was found",))).add(scene)
    assert (result.rows, result.shown_rows, result.notes) == ((), (), ("nothing was found",))
    result.show_from(0.5)
    result.remove()


def test_a_result_without_rows_is_found_again_in_a_loaded_scene(scene: Any, any_case: Any, tmp_path: Path) -> None:
    dataclasses.replace(any_case, findings=Findings(notes=("nothing was found",))).add(scene)
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (read,) = results_in(other.scene)
        assert (read.rows, read.notes) == ((), ("nothing was found",))


def test_words_of_any_language_are_kept(scene: Any, landmark_case: Any, tmp_path: Path) -> None:
    first, *others = landmark_case.findings.landmarks
    words = dataclasses.replace(first, label="Größe Ø → 脊椎", flags=("über L1; „zu nah“", "tab\there"))
    findings = dataclasses.replace(landmark_case.findings, landmarks=(words, *others), notes=("日本 & <ü>",))
    result = dataclasses.replace(landmark_case, findings=findings).add(scene, name="Wirbel Ä")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (read,) = results_in(other.scene)
        for one in (result, read):
            assert (one.name, one.notes) == ("Wirbel Ä", ("日本 & <ü>",))
            assert (one.rows[0].title, one.rows[0].status) == ("Größe Ø → 脊椎", "flagged")
            assert "über L1" in one.rows[0].flags


def test_the_run_is_remembered_on_the_table(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    assert (result.module, result.model, result.task) == ("MedDetect", "blobs 1.0.0", "detect")
    record = result.record
    assert (record.device, record.precision, record.threshold, record.seconds) == ("cpu", "float32", 0.3, 2.5)
    assert (record.scan, record.notes) == ("CHEST 1", ("the scan has a gantry tilt of 3°",))
    assert (record.model.title, record.model.licence) == ("Bright blobs", "Apache-2.0")
    assert record.model.limits == "Not for clinical use."


def test_a_scene_saved_and_loaded_shows_the_same_findings_reviews_and_threshold(
    scene: Any, any_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], tmp_path: Path
) -> None:
    volume_node = add_volume(scene, any_case.volume)
    put_under_transform(volume_node)
    result = any_case.add_to(scene, volume_node)
    result.set_review(1, "rejected")
    result.set_review(2, "accepted")
    result.show_from(0.4)
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        # Something is there already, so that nodes get other IDs than they had.
        any_case.add(other.scene).set_review(2, "rejected")
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
        _, read = results_in(other.scene, any_case.profile.module)
        assert read.record == result.record
        assert (read.model, read.scheme, read.shown_score) == (result.model, "", 0.4)
        assert read.table.GetLocked()
        assert read.volume_node.GetName() == any_case.volume.name
        assert read.volume_node is not results_in(other.scene)[0].volume_node
        for row, before in zip(read.rows, result.rows, strict=True):
            # Slicer's table files keep six digits.
            check_same(row, before, abs=1e-3)
            assert row.score == pytest.approx(before.score, abs=1e-6)
        assert seen(read) == seen(result) == [row.number for row in result.shown_rows]
        read.remove()
        assert len(results_in(other.scene)) == 1


def check_same(row: Any, before: Any, **tolerance: float) -> None:
    numbers = {"score": 0.0, "position_world": None}
    assert dataclasses.replace(row, **numbers) == dataclasses.replace(before, **numbers)
    place = before.position_world
    assert row.position_world == (None if place is None else pytest.approx(place, **tolerance))


def seen(result: Result) -> list[int]:
    """The numbers of the findings that are visible by the nodes' own word."""
    return [row.number for row in result.rows if is_seen(result, row)]


def is_seen(result: Result, row: Any) -> bool:
    nodes = result.nodes
    if result.task == "detect":
        return bool(nodes.roi(row.number).GetDisplayNode().GetVisibility())
    if result.task == "landmark":
        place = row.position_world is not None
        return place and bool(nodes.fiducials.GetNthControlPointVisibility(row.number - 1))
    value = result.table.GetTable().GetColumnByName("value").GetValue(row.number - 1)
    return bool(nodes.segmentation.GetDisplayNode().GetSegmentVisibility(segment_id(value)))


def test_findings_below_a_score_are_hidden_and_come_back(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    for score in (0.0, 0.2, 0.45, 0.92, 1.0, 0.3, 0.0):
        result.show_from(score)
        expected = [row.number for row in result.rows if row.position_world is not None and row.score >= score]
        assert seen(result) == expected == [row.number for row in result.shown_rows]
        assert result.shown_score == score


def test_a_rejected_finding_is_hidden_and_stays_in_the_table(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    everything = seen(result)
    result.set_review(2, "rejected")
    assert seen(result) == [number for number in everything if number != 2]
    assert [row.review for row in result.rows][:3] == ["", "rejected", ""]
    assert not result.shows(result.row(2))
    result.set_review(2, "")
    assert seen(result) == everything


def test_an_accepted_finding_stays_whatever_its_score(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    result.set_review(2, "accepted")
    result.show_from(2.0)
    assert seen(result) == [2]


def test_the_name_of_a_hidden_tooth_is_hidden_with_it(scene: Any, teeth_case: Any) -> None:
    result = teeth_case.add(scene)
    result.set_review(1, "rejected")
    shown = {
        points.GetNthControlPointLabel(number): bool(points.GetNthControlPointVisibility(number))
        for points in result.nodes.numbers for number in range(points.GetNumberOfControlPoints())
    }
    assert shown == {
        "16": False, "11": True, "26": True, "36": True, "46": True, "Tooth without number 1": True,
    }


def test_other_words_and_numbers_are_refused(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    with pytest.raises(ValueError, match="a review is one of"):
        result.set_review(1, "maybe")
    with pytest.raises(ValueError, match="no finding number 4"):
        result.set_review(4, "accepted")


def test_a_finding_whose_node_the_user_deleted_is_said_to_be_removed(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    third = result.rows[2]
    scene.RemoveNode(result.nodes.roi(2))
    assert [row.status for row in result.rows] == ["found", "removed", "found"]
    assert result.rows[1].position_world is None
    assert not result.shows(result.row(2))
    assert result.rows[2] == third
    result.set_review(2, "accepted")
    result.set_review(3, "rejected")
    result.show_from(0.1)
    assert [row.number for row in result.shown_rows] == [1]
    result.remove()
    assert nodes_of(scene, BOXES) == []


def test_which_finding_was_removed_is_still_known_after_saving(scene: Any, nodule_case: Any, tmp_path: Path) -> None:
    result = nodule_case.add(scene)
    scene.RemoveNode(result.nodes.roi(2))
    scene.RemoveNode(result.volume_node)
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        nodule_case.add(other.scene)
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
        read = results_in(other.scene)[1]
        assert [row.status for row in read.rows] == ["found", "removed", "found"]
        assert read.rows[2].position_world == pytest.approx(nodule_case.findings.boxes[2].center_ras, abs=1e-4)
        assert read.volume_node is None


def test_a_deleted_point_list_or_segmentation_breaks_nothing(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    for node in result.nodes.made[1:]:
        scene.RemoveNode(node)
    assert {row.status for row in result.rows} == {"removed"}
    result.set_review(1, "accepted")
    result.show_from(0.5)
    assert result.shown_rows == ()
    result.remove()
    assert results_in(scene) == ()


def test_a_point_or_segment_deleted_alone_is_the_only_one_removed(
    scene: Any, landmark_case: Any, teeth_case: Any
) -> None:
    points = landmark_case.add(scene)
    points.nodes.fiducials.SetFixedNumberOfControlPoints(False)
    points.nodes.fiducials.RemoveNthControlPoint(1)
    assert [row.status for row in points.rows] == ["found", "removed", "missing", "flagged", "found", "missing"]
    teeth = teeth_case.add(scene)
    teeth.nodes.segmentation.GetSegmentation().RemoveSegment(segment_id(11))
    teeth.show_from(0.1)
    assert [row.title for row in teeth.rows if row.status == "removed"] == ["11"]


def test_the_curve_goes_through_the_landmarks_that_are_shown_and_not_doubtful(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    curve = result.nodes.curve

    def through() -> list[str]:
        return [curve.GetNthControlPointLabel(number) for number in range(curve.GetNumberOfControlPoints())]

    assert through() == ["T12", "L1", "L4"]
    result.set_review(2, "rejected")
    assert through() == ["T12", "L4"]
    first, last = (np.array(landmark_case.findings.landmarks[n].position_ras) for n in (0, 4))
    assert curve.GetCurveLengthWorld() == pytest.approx(np.linalg.norm(first - last), abs=1e-3)
    result.set_review(4, "accepted")
    assert through() == ["T12", "L3", "L4"]
    result.set_review(2, "")
    result.set_review(4, "")
    assert through() == ["T12", "L1", "L4"]
    result.show_from(2.0)
    assert through() == []


def test_a_missing_landmark_that_the_user_places_is_found_by_hand(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    result.nodes.fiducials.SetNthControlPointPosition(2, 1.0, 2.0, 3.0)
    row = result.rows[2]
    assert (row.status, row.flags, row.position_world) == ("found", (), (1.0, 2.0, 3.0))
    fourth = result.rows[3].position_world
    assert row.detail == f"placed by hand, {np.linalg.norm(np.subtract(fourth, (1.0, 2.0, 3.0))):.1f} mm"


def test_a_review_is_one_step_that_undo_takes_back(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    everything = seen(result)
    scene.SetUndoOn()
    result.set_review(1, "rejected")
    result.set_review(1, "rejected")
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert [row.review for row in result.rows] == [""] * len(result.rows)
    assert seen(result) == everything


@pytest.mark.parametrize(("score", "reads"), [
    (0.9999, "1.00"), (0.995, "1.00"), (0.9949, "0.99"), (0.4999, "0.49"), (0.5, "0.50"), (0.29, "0.29"),
    (float(np.float32(0.29)), "0.29"), (0.0, "0.00"), (1.0, "1.00"),
])
def test_what_reads_as_the_filters_number_passes_it_and_what_passes_reads_so(
    scene: Any, nodule_case: Any, score: float, reads: str
) -> None:
    result = nodule_case.add(scene)
    result.table.GetTable().GetColumnByName("score").SetValue(0, score)
    row = result.rows[0]
    assert f"{read_score(row.score):.2f}" == reads
    for hundredths in range(101):
        result.show_from(hundredths / 100)
        assert result.shows(row) == (float(reads) >= hundredths / 100)
