"""A locked model in the panel: its key is asked for once, and goes to the run alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from panel_user import PanelUser

from medinfer.library.keys import find_key
from medinfer.library.locking import lock_package, make_key
from medinfer.library.package import load_package

Open = Callable[..., PanelUser]


@pytest.fixture
def key_files(blob_package: Callable[..., Path], own_library: Path, tmp_path: Path, monkeypatch: Any) -> list[Path]:
    """A locked model is installed; its key, and another one."""
    from medslicer.panel.model_keys import forget_key

    for name in ("MEDINFER_KEY", "MEDINFER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    keys = [tmp_path / "right", tmp_path / "wrong"]
    for key in keys:
        make_key(key)
    locked = lock_package(load_package(blob_package()), find_key("blobs", keys[0]), tmp_path / "locked")
    shutil.move(locked.folder, own_library / "blobs")
    forget_key("blobs")
    return keys


def test_the_key_is_asked_for_once_and_again_after_a_wrong_one(
    harness: SlicerHarness, key_files: list[Path], open_panel: Open, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume
    from medslicer.results.result import results_in

    right, wrong = key_files
    user = open_panel()
    add_volume(harness.scene, blob_scan[0])
    user.choose("scanSelector", "blobs")
    user.choose("modelSelector", "Bright blobs")
    harness.choose_file("")
    user.click("runButton")
    assert "locked, and its key was not given" in user.message
    harness.choose_file(wrong)
    user.run_to_the_end()
    assert "is locked with another key" in user.message
    assert user.complains
    harness.choose_file(right)
    user.run_to_the_end()
    assert not user.complains, user.message
    # Not asked again: a file dialog without an answer would be an error here.
    user.run_to_the_end()
    assert not user.complains, user.message
    assert len(results_in(harness.scene, "MedDetect")) == 2
