"""Runs of two modules: the second waits for the first, both finish, and each can be cancelled by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser

Make = Callable[..., Path]
WAITING = "Waiting for an earlier run to finish."


@pytest.fixture
def landmark_user(
    user: PanelUser, harness: SlicerHarness, dots_package: Make, dots_scan: Any, own_library: Path
) -> PanelUser:
    """A user of MedLandmark, beside `user`, with the scan "dots" and the model "Dots by brightness"."""
    return open_landmarks(harness, dots_package, dots_scan, own_library)


def open_landmarks(harness: SlicerHarness, dots_package: Make, dots_scan: Any, own_library: Path) -> PanelUser:
    from medslicer.nodes.volumes import add_volume

    shutil.move(dots_package(), own_library / "dots")
    add_volume(harness.scene, dots_scan[0])
    ready = PanelUser(harness, harness.load_module("MedLandmark"))
    ready.choose("modelSelector", "Dots by brightness")
    ready.choose("scanSelector", "dots")
    return ready


def test_the_second_run_waits_and_both_finish(
    user: PanelUser, landmark_user: PanelUser, harness: SlicerHarness, blob_scan: Any, dots_scan: Any, temporary: Path
) -> None:
    from medslicer.results.result import results_in

    harness.enter(user.module)
    user.run()
    harness.enter(landmark_user.module)
    landmark_user.run()
    landmark_user.wait(lambda: landmark_user.message == WAITING)
    assert user.running
    at_once = []

    def count() -> bool:
        at_once.append(len(list(temporary.glob("*/job.json"))))
        return not landmark_user.running

    landmark_user.wait(count)
    harness.process_events()
    assert max(at_once) == 1
    assert user.message.startswith("2 nodules found")
    assert landmark_user.message.startswith("3 landmarks found")
    (nodules,), (landmarks,) = results_in(harness.scene, "MedDetect"), results_in(harness.scene, "MedLandmark")
    assert len(nodules.rows) == len(blob_scan[1])
    for row in landmarks.rows:
        if row.position_world is not None:
            assert np.linalg.norm(np.array(row.position_world) - dots_scan[1][row.title]) < 1.5
    assert (nodules.volume_node.GetName(), landmarks.volume_node.GetName()) == ("blobs", "dots")
    assert not list(temporary.iterdir())


def test_each_module_shows_its_own_results(user: PanelUser, landmark_user: PanelUser, harness: SlicerHarness) -> None:
    landmark_user.run_to_the_end()
    assert [title for title, _, _ in landmark_user.rows] == ["head", "chest", "foot", "tail"]
    harness.enter(user.module)
    assert user.rows == []
    assert user.entries("targetSelector") == ["New result"]


def test_a_waiting_run_can_be_cancelled_and_the_first_goes_on(
    user: PanelUser, landmark_user: PanelUser, harness: SlicerHarness
) -> None:
    harness.enter(user.module)
    user.run()
    harness.enter(landmark_user.module)
    landmark_user.run()
    assert landmark_user.message == WAITING
    landmark_user.click("cancelButton")
    landmark_user.wait_for_the_end()
    assert "cancelled" in landmark_user.message
    assert user.running
    user.wait_for_the_end()
    assert user.message.startswith("2 nodules found")
    assert landmark_user.rows == []


def test_cancelling_or_reloading_the_first_lets_the_second_begin(
    long_run: PanelUser, harness: SlicerHarness, dots_package: Make, dots_scan: Any, own_library: Path
) -> None:
    second = open_landmarks(harness, dots_package, dots_scan, own_library)
    harness.enter(long_run.module)
    long_run.run()
    long_run.wait_for_the_middle()
    harness.enter(second.module)
    second.run()
    assert second.message == WAITING
    harness.enter(long_run.module)
    harness.reload(long_run.module)
    second.wait_for_the_end()
    assert second.message.startswith("3 landmarks found")
    assert not long_run.running
