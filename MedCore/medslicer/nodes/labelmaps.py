"""The labelmaps that the segments of one vtkMRMLSegmentationNode share, as arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medinfer.label_map import LabelMap
from medinfer.volume import Floats, Grid

from .volumes import matrix_of


def segment_id(value: int) -> str:
    """The ID of the segment whose voxels have this value."""
    return f"Segment_{value}"


@dataclass(frozen=True, eq=False)
class Layer:
    """Segments that don't overlap: their voxels, in coordinates of the node (RAS mm, its parent transform not applied),
    a view of the node's own; and the value there of each, by its ID."""

    label_map: LabelMap
    values: Mapping[str, int]


def layers_of(node: Any) -> tuple[Layer, ...]:
    """The layers of `node` that have voxels: one, unless segments overlap."""
    segmentation = node.GetSegmentation()
    layers = []
    for number in range(segmentation.GetNumberOfLayers()):
        label_map = _label_map(segmentation.GetLayerDataObject(number, labelmap_name()))
        if label_map is not None:
            ids = segmentation.GetSegmentIDsForLayer(number, labelmap_name())
            layers.append(Layer(label_map, {one: segmentation.GetSegment(one).GetLabelValue() for one in ids}))
    return tuple(layers)


def _label_map(image: Any) -> LabelMap | None:
    """The voxels of a vtkOrientedImageData, a view; None where it has none."""
    from vtk.util.numpy_support import vtk_to_numpy

    if image is None or image.GetNumberOfPoints() == 0:
        return None
    i, _, j, _, k, _ = image.GetExtent()
    width, height, depth = image.GetDimensions()
    whole = Grid((depth, height, width), _image_matrix(image))
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(depth, height, width)
    return LabelMap(voxels, whole.cropped((k, j, i), whole.shape))


def oriented_image(label_map: LabelMap) -> Any:
    """`label_map`, of one layer, as vtkOrientedImageData; its voxels are copied.

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
