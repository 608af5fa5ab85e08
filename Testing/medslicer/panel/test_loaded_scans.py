"""A scan that is loaded while a panel is open is the one to run on, where none was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import SlicerHarness
from panel_user import PanelUser

from medinfer.volume import Volume


def load(harness: SlicerHarness, scan: Volume, name: str, *, show: bool = True) -> Any:
    """As Slicer's readers do: the node first, what is in it later, and then the slices show it."""
    import slicer

    from medslicer.nodes.volumes import add_volume

    node = add_volume(harness.scene, Volume(scan.voxels, scan.grid, name))
    if show:
        slicer.util.setSliceViewerLayers(background=node)
    harness.process_events()
    return node


def test_the_first_is_taken_at_once(
    open_panel: Callable[..., PanelUser], harness: SlicerHarness, blob_scan: Any
) -> None:
    user = open_panel("MedDetect")
    assert user.message == "Choose a scan to run on."
    load(harness, blob_scan[0], "first")
    assert user.chosen("scanSelector") == "first"
    assert user.message != "Choose a scan to run on."


def test_a_scan_that_was_chosen_stays(
    open_panel: Callable[..., PanelUser], harness: SlicerHarness, blob_scan: Any
) -> None:
    user = open_panel("MedDetect")
    load(harness, blob_scan[0], "first")
    load(harness, blob_scan[0], "second")
    assert user.chosen("scanSelector") == "first"


def test_of_several_the_one_that_was_loaded(
    open_panel: Callable[..., PanelUser], harness: SlicerHarness, blob_scan: Any
) -> None:
    user = open_panel("MedDetect")
    first, _second = (load(harness, blob_scan[0], name) for name in ("first", "second"))
    harness.scene.RemoveNode(first)
    harness.process_events()
    # What stood beside a deleted scan is not taken for it, but what is loaded then is.
    assert user.chosen("scanSelector") == "None"
    third = load(harness, blob_scan[0], "third")
    assert user.chosen("scanSelector") == "third"
    harness.scene.RemoveNode(third)
    load(harness, blob_scan[0], "fourth", show=False)
    assert user.chosen("scanSelector") == "fourth"


def test_no_label_map_is_taken_for_a_scan(open_panel: Callable[..., PanelUser], harness: SlicerHarness) -> None:
    user = open_panel("MedDetect")
    harness.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    harness.process_events()
    assert user.message == "Choose a scan to run on."


def test_the_scan_of_a_scene_that_is_opened_is_taken(
    open_panel: Callable[..., PanelUser], harness: SlicerHarness, blob_scan: Any, tmp_path: Any
) -> None:
    from medslicer.export.saving import save_scene

    load(harness, blob_scan[0], "saved")
    save_scene(harness.scene, tmp_path / "scene.mrb")
    harness.scene.Clear(0)
    user = open_panel("MedDetect")
    assert harness.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    harness.process_events()
    assert user.chosen("scanSelector") == "saved"
