"""The node selectors say what a user chose, and nothing else: not what Slicer puts there by itself."""

from __future__ import annotations

from typing import Any

from harness import SlicerHarness
from panel_user import PanelUser


def add_region(harness: SlicerHarness, name: str) -> Any:
    region = harness.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    harness.process_events()
    return region


def settings_of(harness: SlicerHarness) -> Any:
    return harness.scene.GetSingletonNode("MedDetect", "vtkMRMLScriptedModuleNode")


def test_after_the_region_was_deleted_the_whole_scan_is_looked_at_and_no_other_box(
    user: PanelUser, harness: SlicerHarness
) -> None:
    """Slicer's selector goes on to the next ROI: that may be the box of a nodule."""
    region = add_region(harness, "chest")
    add_region(harness, "another")
    user.unfold("advancedSection")
    user.choose("regionSelector", "chest")
    assert settings_of(harness).GetNodeReference("region") is region
    harness.scene.RemoveNode(region)
    harness.process_events()
    assert settings_of(harness).GetNodeReference("region") is None
    assert user.chosen("regionSelector") == "Whole scan"


def test_after_the_scan_was_deleted_no_other_is_chosen_unasked(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    scan = settings_of(harness).GetNodeReference("scan")
    add_volume(harness.scene, blob_scan[0]).SetName("another patient")
    harness.process_events()
    harness.scene.RemoveNode(scan)
    harness.process_events()
    assert user.chosen("scanSelector") == "None"
    assert user.message == "Choose a scan to run on."


def test_a_node_that_comes_or_goes_before_the_chosen_one_is_no_news(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    """The chosen one's row shifts, and Slicer's selector tells of it anew: what a run has said stays."""
    from medslicer.nodes.volumes import add_volume

    second = add_volume(harness.scene, blob_scan[0])
    second.SetName("second")
    harness.process_events()
    first = settings_of(harness).GetNodeReference("scan")
    user.choose("scanSelector", "second")
    user.run_to_the_end()
    said = user.message
    harness.scene.RemoveNode(first)
    harness.process_events()
    assert (user.message, user.chosen("scanSelector")) == (said, "second")


def test_an_overlap_of_every_percent_is_shown_as_it_was_set(user: PanelUser, harness: SlicerHarness) -> None:
    user.unfold("advancedSection")
    user.click("ownOverlap")
    for percent in (28, 29, 57, 58):
        user.type_number("overlapSpin", str(percent))
        harness.process_events()
        assert user.ui("overlapSpin").value() == percent
