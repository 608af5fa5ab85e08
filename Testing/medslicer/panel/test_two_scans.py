"""Two scans in one scene: a finding is never shown on the wrong patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser
from results_user import ResultsUser

from medinfer.volume import Volume

ALL = [f"Nodule {n}" for n in range(1, 7)]


def in_the_slices(user: ResultsUser) -> set[str]:
    """The names of the scans that the slice views show."""
    views = user.nodes("vtkMRMLSliceCompositeNode")
    assert len(views) == 3
    return {user.scene.GetNodeByID(view.GetBackgroundVolumeID()).GetName() for view in views}


def boxes_of(result: Any) -> list[bool]:
    return [bool(roi.GetDisplayNode().GetVisibility()) for roi in result.nodes.rois]


@pytest.fixture
def two(nodules: ResultsUser, found_before: dict[str, Any]) -> tuple[Any, Any]:
    """The results of two patients: scan "A", and the same on scan "B"; both are visible, the slices show A."""
    import slicer

    from medinfer.library.library import find_package
    from medslicer.nodes.volumes import add_volume, volume_from_node
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    first = nodules.results[0]
    first.volume_node.SetName("A")
    scan = volume_from_node(first.volume_node)
    other = add_volume(nodules.scene, Volume(scan.voxels, scan.grid, "B"))
    findings = found_before["lamps"]
    add_result(nodules.scene, findings, other, find_package("lamps").manifest, PROFILES["MedDetect"])
    slicer.util.setSliceViewerLayers(background=first.volume_node)
    nodules.harness.process_events()
    first, second = nodules.results
    return first, second


def test_choosing_a_result_shows_its_scan_and_its_findings_alone(
    nodules: ResultsUser, two: tuple[Any, Any]
) -> None:
    first, second = two
    nodules.choose("resultSelector", "Nodules 2")
    assert in_the_slices(nodules) == {"B"}
    assert (boxes_of(first), boxes_of(second)) == ([False] * 6, [True] * 6)
    nodules.choose("resultSelector", "Nodules")
    assert in_the_slices(nodules) == {"A"}
    assert (boxes_of(first), boxes_of(second)) == ([True] * 6, [False] * 6)


def test_the_bones_of_the_other_patient_are_not_rendered(nodules: ResultsUser, two: tuple[Any, Any]) -> None:
    from medslicer.pictures.overview import show_overview

    for result in two:
        show_overview(result, render=True)
    nodules.choose("resultSelector", "Nodules")
    rendered = nodules.nodes("vtkMRMLVolumeRenderingDisplayNode")
    shown = {one.GetDisplayableNode().GetName(): bool(one.GetVisibility()) for one in rendered}
    assert shown == {"A": True, "B": False}


def test_a_row_leads_to_its_own_scan(nodules: ResultsUser, two: tuple[Any, Any]) -> None:
    first, second = two
    foreign = first.volume_node.GetID()
    for view in nodules.nodes("vtkMRMLSliceCompositeNode"):
        view.SetForegroundVolumeID(foreign)
    nodules.click_row("Nodule 1")
    assert in_the_slices(nodules) == {"B"}
    assert {view.GetForegroundVolumeID() for view in nodules.nodes("vtkMRMLSliceCompositeNode")} == {None}
    assert (boxes_of(first), boxes_of(second)) == ([False] * 6, [True] * 6)
    np.testing.assert_allclose(nodules.looked_at(), second.row(1).position_world, atol=1e-3)


def test_what_was_rejected_stays_hidden_when_its_result_is_chosen_again(
    nodules: ResultsUser, two: tuple[Any, Any]
) -> None:
    first, _second = two
    nodules.choose("resultSelector", "Nodules")
    nodules.click_row("Nodule 2")
    nodules.click("rejectButton")
    nodules.choose("resultSelector", "Nodules 2")
    # A script filters what is put away: it stays so.
    first.show_from(0.0)
    assert boxes_of(first) == [False] * 6
    nodules.choose("resultSelector", "Nodules")
    assert boxes_of(first) == [True, False, True, True, True, True]


def test_after_a_result_was_deleted_the_one_that_is_left_is_shown_on_its_scan(
    nodules: ResultsUser, two: tuple[Any, Any]
) -> None:
    first, _second = two
    nodules.click_row("Nodule 1")
    nodules.harness.answer(confirm=True)
    nodules.click("removeResultButton")
    assert in_the_slices(nodules) == {"A"}
    assert boxes_of(first) == [True] * 6


def test_a_script_that_jumps_sees_the_scan_as_well(nodules: ResultsUser, two: tuple[Any, Any]) -> None:
    two[1].jump(3)
    assert in_the_slices(nodules) == {"B"}


def test_a_run_shows_its_scan_and_puts_the_other_patient_away(
    user_with_result: PanelUser, harness: SlicerHarness
) -> None:
    from medslicer.nodes.volumes import add_volume, volume_from_node
    from medslicer.results.result import results_in

    user, first = user_with_result, harness.scene.GetFirstNodeByName("blobs")
    copy = volume_from_node(first)
    add_volume(harness.scene, Volume(copy.voxels, copy.grid, "other"))
    harness.process_events()
    user.choose("scanSelector", "other")
    user.run_to_the_end()
    one, two = results_in(harness.scene)
    assert not any(boxes_of(one))
    assert all(boxes_of(two))
    view = harness.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetBackgroundVolumeID() == two.volume_node.GetID()
