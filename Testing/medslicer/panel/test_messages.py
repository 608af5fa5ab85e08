"""What the panel says is about the scan and the result that it shows, and goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import SlicerHarness
from panel_user import PanelUser
from results_user import ResultsUser

from medinfer.volume import Volume

CHOOSE = "Choose a scan to run on."


def add_scan(harness: SlicerHarness, scan: Volume, name: str) -> None:
    from medslicer.nodes.volumes import add_volume

    add_volume(harness.scene, Volume(scan.voxels, scan.grid, name))
    harness.process_events()


@pytest.fixture
def done(user: PanelUser, harness: SlicerHarness) -> ResultsUser:
    """A user after a run, who has written the table to a file."""
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")
    return ResultsUser(harness, user.module)


@pytest.fixture
def written(done: ResultsUser, tmp_path: Path) -> ResultsUser:
    done.export("Table", tmp_path / "nodules.csv")
    assert done.outcome.startswith("Written")
    return done


def test_after_the_scene_was_closed_nothing_is_said_of_what_was_in_it(written: ResultsUser, blob_scan: tuple) -> None:
    written.scene.Clear(0)
    written.harness.process_events()
    assert (written.message, written.outcome) == (CHOOSE, "")
    # The next scan and result have the IDs of those before.
    add_scan(written.harness, blob_scan[0], "next")
    assert (written.outcome, written.complains) == ("", False)
    assert "found" not in written.message


def test_another_scan_chosen_is_one_that_was_not_run(written: ResultsUser, blob_scan: tuple) -> None:
    add_scan(written.harness, blob_scan[0], "next")
    assert written.message.startswith("2 nodules found")
    written.choose("scanSelector", "next")
    assert (written.message, written.outcome) == ("", "")
    # What is listed below is another scan's.
    assert written.chosen("resultSelector") == "Nodules – blobs"


def test_chosen_by_a_script_as_well(written: ResultsUser, blob_scan: tuple) -> None:
    add_scan(written.harness, blob_scan[0], "next")
    written.module.widget.panel.settings.scan = written.node("next")
    written.harness.process_events()
    assert (written.message, written.outcome) == ("", "")


def test_a_scan_that_is_deleted_takes_what_was_said_of_it_along(written: ResultsUser) -> None:
    written.scene.RemoveNode(written.results[0].volume_node)
    written.harness.process_events()
    assert (written.message, written.outcome) == (CHOOSE, "")


def test_a_result_that_is_deleted_does_so_too(written: ResultsUser) -> None:
    written.harness.answer(confirm=True)
    written.click("removeResultButton")
    assert (written.message, written.outcome) == ("", "")


def test_of_another_result_that_is_chosen_nothing_was_said_yet(user_with_result: PanelUser) -> None:
    done = user_with_result
    done.run_to_the_end()
    assert done.message.startswith("2 nodules found")
    done.choose("resultSelector", "Nodules")
    assert done.chosen("resultSelector") == "Nodules"
    assert done.message == ""


def test_a_run_that_ends_beside_another_scan_names_its_own(user: PanelUser, blob_scan: tuple) -> None:
    add_scan(user.harness, blob_scan[0], "next")
    user.choose("scanSelector", "blobs")
    user.run()
    user.choose("scanSelector", "next")
    user.wait_for_the_end()
    assert user.message.startswith("blobs: 2 nodules found")
    assert user.chosen("scanSelector") == "next"


def test_why_a_run_was_stopped_is_said_until_another_scan_is_there(long_run: PanelUser, blob_scan: tuple) -> None:
    long_run.run()
    long_run.wait_for_the_middle()
    long_run.harness.scene.Clear(0)
    long_run.harness.process_events()
    assert long_run.message == "The scene was closed, so the run was stopped."
    add_scan(long_run.harness, blob_scan[0], "next")
    long_run.choose("scanSelector", "next")
    assert long_run.message == ""
