"""Volumes as nobody should have them: each is looked at rightly, or refused in one sentence that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers

from medinfer.errors import MedInferError

BALL_KJI, SHAPE = np.array([20, 25, 30]), (40, 50, 60)
SQUARE = np.array([[1, 0, 0, -30], [0, 1, 0, -25], [0, 0, 2, -40], [0, 0, 0, 1.0]])
CPU = {"backend": "onnxruntime", "device": "cpu", "precision": "float32"}


def ball() -> np.ndarray:
    """Air with one ball of 13 voxels."""
    place = np.stack(np.indices(SHAPE), axis=-1)
    return np.where(((place - BALL_KJI) ** 2).sum(axis=-1) <= 36, 0, -1000).astype(np.int16)


def ball_ras(matrix: np.ndarray) -> np.ndarray:
    return (matrix @ [*BALL_KJI[::-1], 1])[:3]


def image_of(voxels: np.ndarray, components: int = 1) -> Any:
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[2::-1])
    values = voxels.reshape(-1, components) if components > 1 else voxels.ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values), deep=True))
    return image


def place(node: Any, matrix: np.ndarray) -> None:
    import slicer

    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))


def logic() -> Any:
    return sys.modules["MedDetect"].MedDetectLogic()


def results(scene: Any) -> list[Any]:
    from medslicer.results.result import results_in

    return list(results_in(scene))


@pytest.fixture
def volume(harness: SlicerHarness, install_blobs: Callable[..., Any], temporary: Any) -> Callable[..., Any]:
    """Add a volume node with these voxels; the model "blobs" is installed."""
    install_blobs()
    harness.load_module("MedDetect")

    def add(
        voxels: np.ndarray | None = None, matrix: np.ndarray = SQUARE, kind: str = "vtkMRMLScalarVolumeNode",
        components: int = 1,
    ) -> Any:
        node = harness.scene.AddNewNodeByClass(kind, "odd")
        node.SetAndObserveImageData(image_of(ball() if voxels is None else voxels, components))
        place(node, matrix)
        return node

    return add


def found_places(node: Any, **settings: Any) -> list[np.ndarray]:
    return [np.array(row.position_world) for row in logic().process(node, model="blobs", **CPU, **settings).rows]


def refused(node: Any, words: str, **settings: Any) -> None:
    """Running on `node` is refused with `words`, in one sentence, and nothing is left in the scene."""
    with pytest.raises(MedInferError, match=words) as told:
        logic().process(node, model="blobs", **CPU, **settings)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")
    assert "Error" not in str(told.value)
    if hasattr(node, "GetScene") and node.GetScene() is not None:
        assert results(node.GetScene()) == []


REFUSED: dict[str, tuple[Callable[[], np.ndarray], np.ndarray, str]] = {
    "one voxel": (lambda: ball()[20:21, 25:26, 30:31], SQUARE, r"odd covers only 1 × 1 × 2 mm \(1 × 1 × 1 voxels\)"),
    "NaN alone": (lambda: np.full(SHAPE, np.nan, np.float32), SQUARE, "120000 of 120000 voxels that are not numbers"),
    "NaN in the geometry": (ball, np.diag([np.nan, 1, 1, 1]), "odd gives a position that is not a number"),
    "spacing 0": (ball, np.diag([1e-7, 1, 1, 1]), "gives a voxel spacing of 1e-07 mm along i; correct the spacing"),
    "parallel axes": (ball, np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "two parallel axes"),
    "metres": (ball, np.diag([1000, 1000, 1000, 1]), "covers 60 × 50 × 40 m, more than any patient: correct its spac"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_volume_that_makes_no_sense_is_one_sentence(volume: Callable[..., Any], what: str) -> None:
    voxels, matrix, words = REFUSED[what]
    refused(volume(voxels(), matrix), words)


def test_colours_are_one_sentence_whatever_node_holds_them(volume: Callable[..., Any]) -> None:
    colours = np.stack([ball()] * 3, axis=-1)
    for kind in ("vtkMRMLVectorVolumeNode", "vtkMRMLScalarVolumeNode"):
        refused(volume(colours, kind=kind, components=3), "3 values per voxel")


def test_voxels_that_are_fewer_than_the_image_says_are_one_sentence(volume: Callable[..., Any]) -> None:
    node = volume()
    node.GetImageData().GetPointData().SetScalars(image_of(ball()[:7]).GetPointData().GetScalars())
    refused(node, "contains 21000 voxels instead of 60 × 50 × 40")


def test_a_volume_that_is_too_large_is_refused_before_a_byte_is_handed_over(
    volume: Callable[..., Any], temporary: Any
) -> None:
    import vtk

    image = vtk.vtkImageData()
    image.SetDimensions(2000, 2000, 800)
    # Taken from the system and never touched: it costs nothing.
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    node = volume()
    node.SetAndObserveImageData(image)
    refused(node, "odd is too large: 2000 × 2000 × 800 voxels would need 6.0 GiB")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("what", ["a name", "a model", "a removed volume"])
def test_what_is_no_volume_of_a_scene_is_one_sentence(
    volume: Callable[..., Any], harness: SlicerHarness, what: str
) -> None:
    node: Any = "odd"
    if what == "a model":
        node = harness.scene.AddNewNodeByClass("vtkMRMLModelNode", "surface")
    elif what == "a removed volume":
        node = volume()
        harness.scene.RemoveNode(node)
    refused(node, "not in a scene" if what == "a removed volume" else "contains no voxels")
    assert workers() == []


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 5], [s, c, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]]) @ SQUARE


SHEARED = SQUARE + np.array([[0, 0.3, 0, 0], [0, 0, 0.4, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    "matrix", [turned(37) @ np.diag([-1, 1, 1, 1]), SHEARED[:, [2, 0, 1, 3]]],
    ids=["rotated and left-handed", "sheared and with other axes first"],
)
def test_findings_lie_where_they_are_whatever_the_axes(volume: Callable[..., Any], matrix: np.ndarray) -> None:
    (found,) = found_places(volume(matrix=matrix))
    np.testing.assert_allclose(found, ball_ras(matrix), atol=1.0)


def test_numbers_that_no_other_program_writes_are_looked_at(volume: Callable[..., Any]) -> None:
    (found,) = found_places(volume(ball().astype(np.int64)))
    np.testing.assert_allclose(found, ball_ras(SQUARE), atol=1.0)


def test_numbers_that_are_none_are_filled_and_told(volume: Callable[..., Any]) -> None:
    voxels = ball().astype(np.float64)
    voxels[:3] = np.nan
    result = logic().process(volume(voxels), model="blobs", **CPU)
    (row,) = result.rows
    np.testing.assert_allclose(row.position_world, ball_ras(SQUARE), atol=1.0)
    assert result.notes[0].startswith("9000 of 120000 voxels are NaN or infinite")


# Transforms and regions --------------------------------------------------------------------------------------------


def linear(scene: Any, shift: tuple[float, float, float]) -> Any:
    import vtk

    node, transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkTransform()
    transform.Translate(*shift)
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node


def thin_plate(scene: Any, shift: tuple[float, float, float]) -> Any:
    """Shifts everything, but VTK does not know that it is linear."""
    import vtk

    node, transform = scene.AddNewNodeByClass("vtkMRMLTransformNode"), vtk.vtkThinPlateSplineTransform()
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    for point in np.random.default_rng(0).uniform(-50, 50, (8, 3)):
        before.InsertNextPoint(*point)
        after.InsertNextPoint(*(point + shift))
    transform.SetBasisToR()
    transform.SetSourceLandmarks(before)
    transform.SetTargetLandmarks(after)
    node.SetAndObserveTransformToParent(transform)
    return node


def region(scene: Any, center: Any, size: float = 24) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "part")
    node.SetSize(size, size, size)
    node.SetCenterWorld(*center)
    return node


@pytest.mark.parametrize("make", [linear, thin_plate])
def test_under_a_transform_findings_and_region_are_of_the_world(
    volume: Callable[..., Any], harness: SlicerHarness, make: Callable[..., Any]
) -> None:
    node, shift = volume(), (90.0, -20.0, 5.0)
    node.SetAndObserveTransformNodeID(make(harness.scene, shift).GetID())
    wanted = ball_ras(SQUARE) + shift
    (found,) = found_places(node, region=region(harness.scene, wanted))
    np.testing.assert_allclose(found, wanted, atol=1.0)


def test_a_region_that_makes_no_sense_is_one_sentence(volume: Callable[..., Any], harness: SlicerHarness) -> None:
    scene, node = harness.scene, volume()
    refused(node, "part has no size; draw it", region=region(scene, (0, 0, 0), 0))
    refused(node, "part lies outside odd; move it", region=region(scene, (900, 0, 0)))
    refused(node, "part has no valid position", region=region(scene, (np.nan, 0, 0)))
    refused(node, "line is not a region of interest", region=scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "line"))


# What happens meanwhile ---------------------------------------------------------------------------------------------


def once(change: Callable[[], object]) -> Callable[[str, float], None]:
    """For `progress`: does it when the voxels are handed over."""
    left = [change]
    return lambda stage, share: left.pop()() if left and share > 0.05 else None


def test_a_transform_that_comes_and_goes_meanwhile_carries_the_findings(
    volume: Callable[..., Any], harness: SlicerHarness
) -> None:
    node, transform = volume(), linear(harness.scene, (0, 0, 50))
    move = once(lambda: node.SetAndObserveTransformNodeID(transform.GetID()))
    (found,) = found_places(node, progress=move)
    np.testing.assert_allclose(found, ball_ras(SQUARE) + np.array([0, 0, 50]), atol=1.0)
    (found,) = found_places(node, progress=once(lambda: harness.scene.RemoveNode(transform)))
    np.testing.assert_allclose(found, ball_ras(SQUARE), atol=1.0)


def test_a_scan_that_is_moved_meanwhile_gets_no_findings_in_the_wrong_place(volume: Callable[..., Any]) -> None:
    node = volume()
    refused(node, "odd was moved during the run", progress=once(lambda: node.SetOrigin(300, 0, 0)))


def test_voxels_that_go_meanwhile_change_nothing(volume: Callable[..., Any]) -> None:
    node = volume()
    (found,) = found_places(node, progress=once(lambda: node.SetAndObserveImageData(None)))
    np.testing.assert_allclose(found, ball_ras(SQUARE), atol=1.0)


def test_voxels_that_change_while_they_are_handed_over_are_one_sentence(volume: Callable[..., Any]) -> None:
    import slicer

    from medslicer.jobs.job import Job, RunSettings

    node = volume()
    job = Job(node, RunSettings("blobs"))
    slicer.util.arrayFromVolume(node)[:] = -1000
    slicer.util.arrayFromVolumeModified(node)
    job.start()
    while not job.over and job.state == "handing over":
        job.step()
    job.close()
    assert (job.state, job.problem) == ("failed", "odd was changed while it was being handed over; run it again.")


def test_a_label_map_in_the_views_is_not_taken_for_the_scan(
    volume: Callable[..., Any], harness: SlicerHarness, open_panel: Callable[[str], PanelUser]
) -> None:
    import slicer

    labels = volume(kind="vtkMRMLLabelMapVolumeNode")
    slicer.util.setSliceViewerLayers(background=labels)
    user = open_panel("MedLandmark")
    assert (user.chosen("scanSelector"), user.message) == ("None", "Choose a scan to run on.")
    scan = volume()
    scan.SetName("the scan")
    harness.leave(user.module)
    harness.enter(user.module)
    assert user.chosen("scanSelector") == "the scan"
