"""Segments as one vtkMRMLSegmentationNode, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medinfer.findings import Vector
from medinfer.label_map import LabelMap
from medinfer.volume import Floats, Grid

from .fiducials import BETWEEN_FLAGS
from .markups import CONFIDENCE, VOLUME_ROLE
from .named_segments import NamedSegment
from .terminology import terminology_entry
from .volumes import matrix_of

# Tags of a segment; Slicer writes them into the header of a .seg.nrrd.
FDI, FLAGS = "FDI", "flags"
FILL_OPACITY = 0.35


@dataclass(frozen=True)
class ShownSegment:
    """A segment of a node: its ID there, its name, value in the node's labelmap and colour, and what its tags say."""

    id: str
    name: str
    value: int
    color: Vector
    fdi: str
    confidence: float
    flags: tuple[str, ...]


def add_segmentation(
    scene: Any, segments: Sequence[NamedSegment], label_map: LabelMap | None, name: str, volume_node: Any
) -> Any:
    """Add `segments` to `scene` as one segmentation called `name` and return its vtkMRMLSegmentationNode.

    A segment each, in the same order, with name, colour and terminology; FDI number, confidence and flags are tags. All
    share one labelmap, the voxels of `label_map` with the same values, which a `.seg.nrrd` keeps. The geometry of
    reference is that of `volume_node`, under whose parent transform the segmentation is put. Closed surfaces are made,
    smoothed as Slicer does by default. Without segments there may be no `label_map`.
    Raises ValueError where segments have no label map or two of them the same value.
    """
    if segments and label_map is None:
        raise ValueError("segments need a label map: findings that were read from findings.json have none")
    if len({named.segment.value for named in segments}) < len(segments):
        raise ValueError("two segments have the same value, so their voxels cannot be told apart")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetUndoEnabled(True)
    # The geometry of reference is in the node's own coordinates: so the transform comes first.
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.SetNodeReferenceID(VOLUME_ROLE, volume_node.GetID())
    node.GetSegmentation().SetSourceRepresentationName(_labelmap_name())
    if label_map is not None:
        _fill(node.GetSegmentation(), segments, oriented_image(label_map))
    _display(node)
    node.CreateClosedSurfaceRepresentation()
    return node


def segment_id(value: int) -> str:
    """The ID of the segment whose voxels have this value."""
    return f"Segment_{value}"


def shown_segments(node: Any) -> tuple[ShownSegment, ...]:
    """The segments of `node`, in its order. A tag that is not there is empty, a confidence 0."""
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]
    return tuple(_shown(one, segmentation.GetSegment(one)) for one in ids)


def label_map_from_node(node: Any) -> LabelMap | None:
    """The voxels of `node` in its coordinates (RAS mm, its parent transform not applied); None where it has none.

    The array is a view of the node's own. Raises ValueError where segments overlap: one array cannot hold them.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfLayers() > 1:
        raise ValueError(f"{node.GetName()} has segments that overlap: one label map cannot hold them")
    image = segmentation.GetLayerDataObject(0, _labelmap_name()) if segmentation.GetNumberOfSegments() else None
    if image is None or image.GetNumberOfPoints() == 0:
        return None
    i, _, j, _, k, _ = image.GetExtent()
    width, height, depth = image.GetDimensions()
    whole = Grid((depth, height, width), _image_matrix(image))
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(depth, height, width)
    return LabelMap(voxels, whole.cropped((k, j, i), whole.shape))


def surfaces_world(node: Any) -> dict[str, Any]:
    """The closed surfaces of `node` in world RAS mm (its parent transform applied), vtkPolyData by segment ID.

    They are made where the node has none; a segment without voxels has no surface.
    """
    import slicer
    import vtk

    node.CreateClosedSurfaceRepresentation()
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, to_world)
    surfaces = {}
    for segment in shown_segments(node):
        local = vtk.vtkPolyData()
        if node.GetClosedSurfaceRepresentation(segment.id, local) and local.GetNumberOfPoints():
            moved = vtk.vtkTransformPolyDataFilter()
            moved.SetTransform(to_world)
            moved.SetInputData(local)
            moved.Update()
            surfaces[segment.id] = moved.GetOutput()
    return surfaces


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


def _turned_round(label_map: LabelMap) -> LabelMap:
    """The same voxels at the same places, counted from the other end of the k axis."""
    matrix = label_map.grid.ijk_to_ras.copy()
    matrix[:3, 2] *= -1
    matrix[:3, 3] = label_map.grid.to_ras((label_map.grid.shape[0] - 1, 0, 0))
    return LabelMap(label_map.voxels[::-1], Grid(label_map.grid.shape, matrix))


def _fill(segmentation: Any, segments: Sequence[NamedSegment], image: Any) -> None:
    """Put all segments into `segmentation`, each with its value in the one `image` that they share."""
    import slicer

    for named in segments:
        segment = slicer.vtkSegment()
        segment.SetName(named.title)
        segment.SetColor(*named.color)
        # Else the segment editor gives it the name and colour of its terminology.
        segment.SetNameAutoGenerated(False)
        segment.SetColorAutoGenerated(False)
        if named.terminology:
            segment.SetTerminology(terminology_entry(named.terminology))
        for tag, value in _tags(named).items():
            segment.SetTag(tag, value)
        segment.SetLabelValue(named.segment.value)
        segment.AddRepresentation(_labelmap_name(), image)
        segmentation.AddSegment(segment, segment_id(named.segment.value))


def _tags(named: NamedSegment) -> dict[str, str]:
    """What is kept with a segment besides its name; a file separates tags by bars."""
    flags = BETWEEN_FLAGS.join(flag.replace("|", "/") for flag in named.segment.flags)
    tags = {FDI: named.fdi, CONFIDENCE: f"{named.segment.confidence:.4f}", FLAGS: flags}
    return {tag: value for tag, value in tags.items() if value}


def _shown(identifier: str, segment: Any) -> ShownSegment:
    red, green, blue = segment.GetColor()
    return ShownSegment(
        identifier, segment.GetName(), segment.GetLabelValue(), (red, green, blue),
        fdi=_tag(segment, FDI),
        confidence=float(_tag(segment, CONFIDENCE) or 0),
        flags=tuple(filter(None, _tag(segment, FLAGS).split(BETWEEN_FLAGS))),
    )


def _tag(segment: Any, name: str) -> str:
    import vtk

    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _image_matrix(image: Any) -> Floats:
    """IJKToRAS of a vtkOrientedImageData, mm."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.array(slicer.util.arrayFromVTKMatrix(matrix))


def _labelmap_name() -> str:
    import slicer

    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _display(node: Any) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetUndoEnabled(True)
    # The tooth under its colour is what a dentist looks at.
    display.SetOpacity2DFill(FILL_OPACITY)
