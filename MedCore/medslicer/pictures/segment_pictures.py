"""Pictures of segments: three slices through most of them, the jaws unrolled, the surfaces in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.findings import vector
from medinfer.volume import Floats

from ..nodes.labelmaps import layers_of
from ..nodes.lookup import nodes_of
from ..nodes.markups import VOLUME_ROLE
from ..nodes.segment_surfaces import surfaces_world
from ..nodes.segments import ShownSegment, shown_segments
from ..nodes.volumes import volume_from_node, world_matrix
from ..views.sights import sights_of_segments
from ..views.views import SLICE_VIEWS, turn_views
from .dental_arch import fit_arch
from .names import NamedPoint
from .panoramic import panorama
from .panoramic_picture import draw_panorama
from .slice_picture import draw_slice
from .surface_picture import draw_surfaces

OUTLINE_PIXELS = 2
_MOST_NAMED = 3
LEAST_CUT_MM = 3.0
# Enough of a surface to know where it stands.
_POINTS = 100


def draw_segments(application_logic: Any, volume_node: Any, segmentation: Any, folder: Path) -> list[Path]:
    """Draw `segmentation` in axial, coronal and sagittal slices, along the dental arch and in 3-D, with FDI numbers.

    Writes axial.png, coronal.png, sagittal.png, where there are segments view3d.png and where there are teeth
    panoramic.png to `folder` and returns them. Raises OutputError. The scene is left as the last picture needed it.
    """
    scene = application_logic.GetMRMLScene()
    volume_node = segmentation.GetNodeReference(VOLUME_ROLE) or volume_node
    # Outlines alone: the tooth itself is what is looked at.
    segmentation.GetDisplayNode().SetVisibility2DFill(False)
    segmentation.GetDisplayNode().SetSliceIntersectionThickness(OUTLINE_PIXELS)
    for numbers in nodes_of(scene, "vtkMRMLMarkupsFiducialNode"):
        # The pictures have their own.
        numbers.GetDisplayNode().SetVisibility(False)
    turn_views(scene, volume_node, sights_of_segments(segmentation, volume_node))
    segments, surfaces = shown_segments(segmentation), surfaces_world(segmentation)
    caption, paths = _caption(segments), []
    for layout_name, orientation in SLICE_VIEWS.items():
        paths.append(folder / f"{orientation.lower()}.png")
        to_ras = scene.GetSingletonNode(layout_name, "vtkMRMLSliceNode").GetSliceToRAS()
        draw_slice(
            application_logic, layout_name, caption, paths[-1], badges=_badges_in_plane(segments, surfaces, to_ras)
        )
    teeth = [segment for segment in segments if badge(segment) and segment.id in surfaces]
    if teeth:
        paths.append(folder / "panoramic.png")
        _draw_unrolled(volume_node, segmentation, segments, teeth, surfaces, caption, paths[-1])
    if not surfaces:
        return paths
    paths.append(folder / "view3d.png")
    draw_surfaces(application_logic, [(badge(segment), surfaces[segment.id]) for segment in teeth], caption, paths[-1])
    return paths


def badge(segment: ShownSegment) -> str:
    """What stands on a tooth in a picture: its number, or a question mark. On what is no tooth stands nothing."""
    if segment.fdi:
        return segment.name if len(segment.name) <= len(segment.fdi) else segment.fdi
    return "?" if segment.flags else ""


def _badges_in_plane(
    segments: Sequence[ShownSegment], surfaces: dict[str, Any], slice_to_ras: Any
) -> list[NamedPoint]:
    """A badge in the middle of each tooth's cut through the slice, where that is larger than the badge."""
    import vtk

    plane = vtk.vtkPlane()
    plane.SetOrigin(*(slice_to_ras.GetElement(row, 3) for row in range(3)))
    plane.SetNormal(*(slice_to_ras.GetElement(row, 2) for row in range(3)))
    badges = []
    for segment in segments:
        if not badge(segment) or segment.id not in surfaces:
            continue
        cutter = vtk.vtkCutter()
        cutter.SetCutFunction(plane)
        cutter.SetInputData(surfaces[segment.id])
        cutter.Update()
        cut = cutter.GetOutput()
        if cut.GetNumberOfPoints() and cut.GetLength() > LEAST_CUT_MM:
            badges.append(NamedPoint(badge(segment), vector(corners(cut).mean(axis=0)), segment.color))
    return badges


def _draw_unrolled(
    volume_node: Any, segmentation: Any, segments: Sequence[ShownSegment], teeth: Sequence[ShownSegment],
    surfaces: dict[str, Any], caption: str, path: Path,
) -> None:
    clouds = [corners(surfaces[tooth.id]) for tooth in teeth]
    arch = fit_arch(np.concatenate([cloud[np.linspace(0, len(cloud) - 1, _POINTS).astype(int)] for cloud in clouds]))
    everything = np.concatenate([corners(surface) for surface in surfaces.values()])
    heights = float(everything[:, 2].min()), float(everything[:, 2].max())
    unrolled = panorama(
        arch, heights, volume_from_node(volume_node), layers_of(segmentation), world_matrix(segmentation)
    )
    draw_panorama(unrolled, [(segment.id, badge(segment), segment.color) for segment in segments], caption, path)


def corners(surface: Any) -> Floats:
    """The points `[n, 3]` of a vtkPolyData."""
    from vtk.util.numpy_support import vtk_to_numpy

    points: Floats = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    return points


def _caption(segments: Sequence[ShownSegment]) -> str:
    """How many there are, and which of them to look at twice."""
    if not segments:
        return "nothing found"
    flagged = [segment.name for segment in segments if segment.flags]
    words = f"{len(segments)} found"
    if flagged:
        words += f"   flagged: {', '.join(flagged[:_MOST_NAMED])}" + (" …" if len(flagged) > _MOST_NAMED else "")
    return words
