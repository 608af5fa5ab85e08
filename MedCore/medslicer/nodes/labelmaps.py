"""The labelmap that the segments of one vtkMRMLSegmentationNode share, as an array, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.label_map import LabelMap
from medinfer.volume import Floats, Grid

from .volumes import matrix_of


def segment_id(value: int) -> str:
    """The ID of the segment whose voxels have this value."""
    return f"Segment_{value}"


def label_map_from_node(node: Any) -> LabelMap | None:
    """The voxels of `node` in its coordinates (RAS mm, its parent transform not applied); None where it has none.

    The array is a view of the node's own. Raises ValueError where segments overlap: one array cannot hold them.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfLayers() > 1:
        raise ValueError(f"{node.GetName()} has overlapping segments, which one label map cannot hold")
    image = segmentation.GetLayerDataObject(0, labelmap_name()) if segmentation.GetNumberOfSegments() else None
    if image is None or image.GetNumberOfPoints() == 0:
        return None
    i, _, j, _, k, _ = image.GetExtent()
    width, height, depth = image.GetDimensions()
    whole = Grid((depth, height, width), _image_matrix(image))
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(depth, height, width)
    return LabelMap(voxels, whole.cropped((k, j, i), whole.shape))


def oriented_image(label_map: LabelMap) -> Any:
    """`label_map` as vtkOrientedImageData; its voxels are copied.

    A left-handed one has its slices turned round, as Slicer does when it reads a file: of a left-handed labelmap its
    closed surfaces are inside out.
    """
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    if np.linalg.det(label_map.grid.ijk_to_ras[:3, :3]) < 0:
        label_map = _turned_round(label_map)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*reversed(label_map.voxels.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(label_map.voxels).ravel(), deep=True))
    image.SetImageToWorldMatrix(matrix_of(label_map.grid.ijk_to_ras))
    return image


def labelmap_name() -> str:
    """What Slicer calls the representation of a segment by its voxels."""
    import slicer

    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _turned_round(label_map: LabelMap) -> LabelMap:
    """The same voxels at the same places, counted from the other end of the k axis."""
    matrix = label_map.grid.ijk_to_ras.copy()
    matrix[:3, 2] *= -1
    matrix[:3, 3] = label_map.grid.to_ras((label_map.grid.shape[0] - 1, 0, 0))
    return LabelMap(label_map.voxels[::-1], Grid(label_map.grid.shape, matrix))


def _image_matrix(image: Any) -> Floats:
    """IJKToRAS of a vtkOrientedImageData, mm."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))
