"""What ends a run early: Cancel, a deleted scan, a closed scene, a reload, quitting. Nothing stays, nothing breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")


def nodes(harness: SlicerHarness) -> set[str]:
    return {harness.scene.GetNthNode(n).GetID() for n in range(harness.scene.GetNumberOfNodes())}


def scan_of(user: PanelUser) -> Any:
    return user.harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")


def nothing_is_left(user: PanelUser, temporary: Path) -> None:
    user.wait(lambda: not workers(), f"the end of {workers()}")
    user.wait(lambda: not list(temporary.iterdir()), f"the end of {list(temporary.iterdir())}")
    assert not user.ui("progressBar").isVisible()


def test_cancel_in_the_middle_changes_nothing_and_a_run_can_follow(
    long_run: PanelUser, harness: SlicerHarness, temporary: Path
) -> None:
    before = nodes(harness)
    long_run.run()
    long_run.wait_for_the_middle()
    assert workers()
    assert " left" in long_run.message
    long_run.click("cancelButton")
    long_run.wait_for_the_end()
    assert nodes(harness) == before
    assert "cancelled" in long_run.message
    assert not long_run.complains
    assert long_run.may_run
    nothing_is_left(long_run, temporary)
    # And at once again, before a process is there.
    long_run.run()
    assert (long_run.running, "cancelled" in long_run.message) == (True, False)
    long_run.click("cancelButton")
    long_run.wait_for_the_end()
    assert "cancelled" in long_run.message
    nothing_is_left(long_run, temporary)


def test_deleting_the_scan_stops_its_run(long_run: PanelUser, harness: SlicerHarness, temporary: Path) -> None:
    long_run.run()
    long_run.wait_for_the_middle()
    harness.scene.RemoveNode(scan_of(long_run))
    harness.process_events()
    assert long_run.message == "The scan was removed, so the run was stopped."
    assert (long_run.running, long_run.may_run) == (False, False)
    nothing_is_left(long_run, temporary)
    assert long_run.rows == []


def test_deleting_another_volume_does_not(user: PanelUser, harness: SlicerHarness, blob_scan: Any) -> None:
    from medslicer.nodes.volumes import add_volume

    other = add_volume(harness.scene, blob_scan[0])
    harness.process_events()
    user.run()
    harness.scene.RemoveNode(other)
    user.wait_for_the_end()
    assert user.message.startswith("2 nodules found")


def test_closing_the_scene_stops_the_run(long_run: PanelUser, harness: SlicerHarness, temporary: Path) -> None:
    long_run.run()
    long_run.wait_for_the_middle()
    harness.scene.Clear(0)
    harness.process_events()
    assert long_run.message == "The scene was closed, so the run was stopped."
    assert not long_run.running
    nothing_is_left(long_run, temporary)
    assert long_run.rows == []
    assert long_run.chosen("modelSelector") == "Bright blobs"


def test_after_the_scene_was_closed_the_next_scan_runs(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    user.run()
    harness.scene.Clear(0)
    harness.process_events()
    add_volume(harness.scene, blob_scan[0])
    harness.process_events()
    user.choose("scanSelector", "blobs")
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")


def test_a_reload_ends_the_run_and_the_new_panel_works(
    long_run: PanelUser, harness: SlicerHarness, temporary: Path
) -> None:
    before = nodes(harness)
    long_run.run()
    long_run.wait_for_the_middle()
    harness.reload(long_run.module)
    assert (long_run.running, long_run.may_run) == (False, True)
    assert long_run.chosen("modelSelector") == "Bright blobs"
    assert nodes(harness) == before
    nothing_is_left(long_run, temporary)
    long_run.run()
    long_run.wait(workers)
    long_run.click("cancelButton")
    long_run.wait_for_the_end()
    nothing_is_left(long_run, temporary)


def test_quitting_ends_the_run(long_run: PanelUser, harness: SlicerHarness, temporary: Path) -> None:
    long_run.run()
    long_run.wait_for_the_middle()
    harness.quit()
    # Nobody runs the loop any more.
    assert workers() == []
    assert list(temporary.iterdir()) == []


def test_a_reload_while_devices_are_looked_for_ends_that_too(user: PanelUser, harness: SlicerHarness) -> None:
    user.unfold("advancedSection")
    user.wait(workers)
    harness.reload(user.module)
    user.wait(lambda: not workers())


def test_quitting_while_devices_are_looked_for_ends_that_too(user: PanelUser, harness: SlicerHarness) -> None:
    user.unfold("advancedSection")
    user.wait(workers)
    harness.quit()
    assert workers() == []
