"""An index box and the ROI made from it have the same eight corners, wherever the ROI has been since."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medinfer.findings import Findings, box_from_index
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_markups, save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.rois import add_roi, box_from_roi
from medslicer.nodes.volumes import add_volume, volume_from_node
from medslicer.results.results import add_findings

TOLERANCE_MM = 1e-6
LOW, HIGH = (3, 5, 7), (8, 9, 17)
Corners = NDArray[np.float64]


def corners_by_volume_node(volume_node: Any, low: tuple[int, ...], high: tuple[int, ...]) -> Corners:
    """The corners of the index box [low, high) (k, j, i) by the volume node's own IJKToRAS and parent transform."""
    import vtk

    ijk_to_ras = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(ijk_to_ras)
    corners = []
    for k, j, i in product(*((a - 0.5, b - 0.5) for a, b in zip(low, high, strict=True))):
        world = [0.0, 0.0, 0.0]
        volume_node.TransformPointToWorld(ijk_to_ras.MultiplyPoint((i, j, k, 1.0))[:3], world)
        corners.append(world)
    return np.array(corners)


def corners_by_roi(roi: Any) -> Corners:
    """The corners of a ROI in world RAS mm, by the matrix that Slicer draws it with."""
    to_world = roi.GetObjectToWorldMatrix()
    half = [edge / 2 for edge in roi.GetSize()]
    return np.array([
        to_world.MultiplyPoint((*(s * h for s, h in zip(signs, half, strict=True)), 1.0))[:3]
        for signs in product((-1, 1), repeat=3)
    ])


def farthest(corners: Corners, others: Corners) -> float:
    """How far the worst corner is from the nearest of the others, both ways, in mm."""
    distance = np.linalg.norm(corners[:, None] - others[None], axis=-1)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


def empty(grid: Grid) -> Volume:
    return Volume(np.zeros(grid.shape, np.int16), grid)


def marked(grid: Grid) -> Volume:
    """A scan in which the voxels of the box [LOW, HIGH) are bright."""
    volume = empty(grid)
    volume.voxels[tuple(slice(a, b) for a, b in zip(LOW, HIGH, strict=True))] = 1000
    return volume


def corners_of_marked(volume_node: Any) -> Corners:
    """The corners of the bright voxels by the volume node's own mapping."""
    bright = np.argwhere(volume_from_node(volume_node).voxels == 1000)
    return corners_by_volume_node(volume_node, tuple(bright.min(axis=0)), tuple(bright.max(axis=0) + 1))


def one_box(grid: Grid) -> Findings:
    return Findings((box_from_index(grid, LOW, HIGH, label="nodule", score=0.9),))


def test_the_roi_has_the_corners_of_the_voxels(scene: Any, grid: Grid) -> None:
    node = add_volume(scene, empty(grid))
    roi = add_roi(scene, one_box(grid).boxes[0], "Nodule 1", node)
    assert farthest(corners_by_roi(roi), corners_by_volume_node(node, LOW, HIGH)) < TOLERANCE_MM


def test_what_slicer_draws_has_the_corners_of_the_voxels(scene: Any, grid: Grid) -> None:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    node = add_volume(scene, empty(grid))
    roi = add_roi(scene, one_box(grid).boxes[0], "Nodule 1", node)
    drawn = roi.CreateROIBoxPolyDataWorld()
    # Slicer draws in single precision: 200 mm from the origin that is 2e-5 mm.
    points = vtk_to_numpy(drawn.GetPoints().GetData()).astype(float)
    assert farthest(points, corners_by_volume_node(node, LOW, HIGH)) < 1e-4


def test_voxels_of_the_box_are_inside_for_slicer_and_their_neighbours_are_not(scene: Any, grid: Grid) -> None:
    node = add_volume(scene, empty(grid))
    roi = add_roi(scene, one_box(grid).boxes[0], "Nodule 1", node)
    centre = [(a + b - 1) / 2 for a, b in zip(LOW, HIGH, strict=True)]
    for axis in range(3):
        for index, expected in [(LOW[axis], True), (LOW[axis] - 1, False), (HIGH[axis] - 1, True), (HIGH[axis], False)]:
            kji = [*centre[:axis], index, *centre[axis + 1:]]
            assert bool(roi.IsPointInROIWorld(grid.to_ras(kji))) is expected


def test_a_markups_file_keeps_the_corners(scene: Any, grid: Grid, tmp_path: Path) -> None:
    node = add_volume(scene, empty(grid))
    nodes = add_findings(scene, one_box(grid), node, name="Nodules")
    save_markups(nodes.rois, tmp_path / "nodules.mrk.json")
    expected = corners_by_volume_node(node, LOW, HIGH)
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "nodules.mrk.json"))
        (roi,) = nodes_of(other.scene, "vtkMRMLMarkupsROINode")
        assert farthest(corners_by_roi(roi), expected) < TOLERANCE_MM


def test_a_scene_bundle_keeps_the_corners_and_the_voxels_they_hold(
    scene: Any, grid: Grid, tmp_path: Path
) -> None:
    node = add_volume(scene, marked(grid))
    add_findings(scene, one_box(grid), node, name="Nodules")
    save_scene(scene, tmp_path / "scene.mrb")
    expected = corners_by_volume_node(node, LOW, HIGH)
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (roi,) = nodes_of(other.scene, "vtkMRMLMarkupsROINode")
        assert farthest(corners_by_roi(roi), expected) < TOLERANCE_MM
        # Slicer turns the slices of a left-handed scan round when it reads them: other indices, the same place.
        (read,) = nodes_of(other.scene, "vtkMRMLScalarVolumeNode")
        assert farthest(corners_of_marked(read), expected) < TOLERANCE_MM


def test_under_a_transform_the_roi_moves_with_the_volume(scene: Any, grid: Grid) -> None:
    import vtk

    node = add_volume(scene, empty(grid))
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    rigid = vtk.vtkTransform()
    rigid.Translate(11, -7, 5)
    rigid.RotateWXYZ(33, 0.3, 0.5, 0.8)
    moved.SetMatrixTransformToParent(rigid.GetMatrix())
    node.SetAndObserveTransformNodeID(moved.GetID())
    nodes = add_findings(scene, one_box(grid), node, name="Nodules")
    assert farthest(corners_by_roi(nodes.rois[0]), corners_by_volume_node(node, LOW, HIGH)) < TOLERANCE_MM


def test_a_roi_reads_back_as_the_box_it_was_made_from(scene: Any, grid: Grid) -> None:
    box = one_box(grid).boxes[0]
    read = box_from_roi(add_roi(scene, box, "Nodule 1", add_volume(scene, empty(grid))))
    assert farthest(read.corners_ras(), box.corners_ras()) < TOLERANCE_MM
    assert (read.label, read.score, read.diameter_mm, read.side) == (box.label, box.score, box.diameter_mm, box.side)


def test_in_a_sheared_scan_the_roi_holds_all_voxels_of_the_box(scene: Any) -> None:
    # A gantry tilt of 15°: the slices slide along A as they go up.
    matrix = np.diag([-0.7, -0.7, 2.5, 1.0])
    matrix[1, 2] = 2.5 * np.tan(np.radians(15))
    grid = Grid((12, 16, 20), matrix)
    node = add_volume(scene, empty(grid))
    roi = add_roi(scene, one_box(grid).boxes[0], "Nodule 1", node)
    to_object = np.linalg.inv(
        [[roi.GetObjectToWorldMatrix().GetElement(row, column) for column in range(4)] for row in range(4)]
    )
    corners = np.c_[corners_by_volume_node(node, LOW, HIGH), np.ones(8)] @ to_object.T
    reach = np.abs(corners[:, :3]).max(axis=0)
    assert reach == pytest.approx(np.array(roi.GetSize()) / 2, abs=TOLERANCE_MM)


@pytest.fixture(scope="module")
def shared() -> Any:
    with HeadlessSlicer() as opened:
        yield opened.scene


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    right_handed=st.booleans(),
    spacing=st.tuples(*[st.floats(0.1, 6)] * 3),
    low=st.tuples(*[st.integers(-3, 20)] * 3),
    edges=st.tuples(*[st.integers(1, 30)] * 3),
)
def test_any_box_on_any_grid_keeps_its_corners(
    shared: Any, seed: int, right_handed: bool, spacing: tuple[float, ...], low: tuple[int, ...],
    edges: tuple[int, ...],
) -> None:
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if (np.linalg.det(axes) > 0) != right_handed:
        axes[:, 0] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing)
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-500, 500, 3)
    grid = Grid((2, 3, 4), matrix)
    high = tuple(a + n for a, n in zip(low, edges, strict=True))
    node = add_volume(shared, empty(grid))
    roi = add_roi(shared, box_from_index(grid, low, high, label="nodule", score=0.5), "Nodule 1", node)
    assert farthest(corners_by_roi(roi), corners_by_volume_node(node, low, high)) < TOLERANCE_MM
