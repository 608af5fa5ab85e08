"""A scan as vtkMRMLScalarVolumeNode, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Floats, Grid, Volume

# Window, level in HU: the usual ones for lung and for bone.
LUNG_WINDOW = (1500.0, -600.0)
BONE_WINDOW = (1500.0, 300.0)
# Shares (percent) of the voxels of a dental scan that are shown black and white; its grey values are seldom true HU.
_BLACK, _WHITE = 2.0, 99.8


def add_volume(scene: Any, volume: Volume, window: tuple[float, float] = LUNG_WINDOW) -> Any:
    """Add `volume` to `scene` and return its vtkMRMLScalarVolumeNode, shown in `window` (window, level) if it is CT.

    The voxels `[k, j, i]` are copied; the node's IJKToRAS is `volume.grid.ijk_to_ras` (RAS mm).
    """
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name)
    node.SetIJKToRASMatrix(matrix_of(volume.grid.ijk_to_ras))
    slicer.util.updateVolumeFromArray(node, storable(volume.voxels))
    node.CreateDefaultDisplayNodes()
    # Compressing harder takes seconds on a chest CT and saves nothing worth them.
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetCompressionParameter("gzip_fastest")
    if volume.modality in ("CT", None):
        display = node.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*window)
    return node


def dental_window(volume: Volume) -> tuple[float, float]:
    """Window and level that show this scan's air black and enamel white, independent of its grey-value scale."""
    # Every few voxels tell as much as all of them.
    some = volume.voxels[::2, ::3, ::3].astype(np.float32)
    low, high = (float(value) for value in np.percentile(some, [_BLACK, _WHITE]))
    return max(high - low, 1.0), (low + high) / 2


def volume_from_node(node: Any) -> Volume:
    """The voxels and geometry of a scalar volume node. The voxels `[k, j, i]` are a view of the node's own.

    A parent transform is not applied: findings are placed under the same transform (`add_findings`).
    """
    import slicer

    voxels = slicer.util.arrayFromVolume(node)
    return Volume(voxels, Grid(voxels.shape, grid_matrix(node)), name=node.GetName())


def series_of(node: Any) -> str:
    """The SeriesInstanceUID that Slicer's DICOM module noted for a volume node; empty of other files."""
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = 0 if tree is None else tree.GetItemByDataNode(node)
    return str(tree.GetItemUID(item, "DICOM")) if item else ""


def grid_matrix(node: Any) -> NDArray[np.float64]:
    """The node's IJKToRAS, 4×4, mm."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def world_matrix(node: Any) -> NDArray[np.float64]:
    """From the node's coordinates to the world, 4×4, mm: its parent transforms, where they are linear."""
    import slicer
    import vtk

    matrix, parent = vtk.vtkMatrix4x4(), node.GetParentTransformNode()
    if parent is not None and parent.IsTransformToWorldLinear():
        parent.GetMatrixTransformToWorld(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def in_node(node: Any, points_world: Floats) -> Floats:
    """`points_world` (`[…, 3]`, RAS mm) in the coordinates of `node`: its parent transforms undone, linear or not."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    parent = node.GetParentTransformNode()
    if parent is None:
        return points_world
    from_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, parent, from_world)
    given, moved = vtk.vtkPoints(), vtk.vtkPoints()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points_world.reshape(-1, 3)), deep=True))
    moved.SetDataTypeToDouble()
    from_world.TransformPoints(given, moved)
    return np.array(vtk_to_numpy(moved.GetData()), dtype=float).reshape(points_world.shape)


def world_bounds(node: Any) -> tuple[Floats, Floats]:
    """The lowest and highest corner of the node in world RAS mm (its parent transform applied)."""
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    return bounds[0::2], bounds[1::2]


def matrix_of(values: NDArray[np.float64]) -> Any:
    """A 4×4 array as vtkMatrix4x4."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.ascontiguousarray(values, dtype=np.float64).ravel().tolist())
    return matrix


def storable(voxels: NDArray[np.generic]) -> NDArray[np.generic]:
    """`voxels` in a type that MRML volumes hold: no bool, no 64-bit integers, no half floats, native byte order."""
    kind, size = voxels.dtype.kind, voxels.dtype.itemsize
    if kind == "b":
        return voxels.astype(np.uint8)
    if kind in "iu" and size == 8:
        low, high = int(voxels.min(initial=0)), int(voxels.max(initial=0))
        fits = np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max
        return voxels.astype(np.int32 if fits else np.float64)
    if kind == "f" and size not in (4, 8):
        return voxels.astype(np.float32)
    return np.ascontiguousarray(voxels.astype(voxels.dtype.newbyteorder("="), copy=False))
