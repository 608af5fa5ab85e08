"""Pictures of landmarks: the planes that pass best through them, the middle one in its slice, the bones in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.findings import Landmark

from ..nodes.fiducials import defined_points, landmarks_from_fiducials
from ..nodes.lookup import nodes_of
from ..nodes.markups import VOLUME_ROLE
from ..nodes.volumes import volume_from_node
from ..views.sights import sights_of_landmarks
from ..views.views import SLICE_VIEWS, turn_views
from .bone_rendering import BONE_TRANSFER, recoded_bones
from .names import NamedPoint
from .slice_picture import draw_slice
from .volume_picture import draw_volume

# Names stand clear of a vertebra: before its body where that is seen from the side, else beside its processes.
_REACH_MM = {"Axial": 55.0, "Coronal": 55.0, "Sagittal": -56.0}
_REACH_3D_MM = -62.0
_LEAST_SLAB_MM, _MOST_SLAB_MM = 20.0, 60.0
_ANY_DISTANCE_MM = 10_000.0
_MOST_NAMED = 4


def draw_landmarks(application_logic: Any, volume_node: Any, fiducials: Any, folder: Path) -> list[Path]:
    """Draw the points of `fiducials` in axial, coronal and sagittal slices and in 3-D, with their names.

    Coronal and sagittal show all of them, also those that lie beside the plane; axial the middle one alone.
    Writes axial.png, coronal.png, sagittal.png and, with a point, view3d.png to `folder` and returns them. Raises
    OutputError.
    The scene is left as the last picture needed it.
    """
    scene = application_logic.GetMRMLScene()
    volume_node = fiducials.GetNodeReference(VOLUME_ROLE) or volume_node
    sights = sights_of_landmarks(fiducials, volume_node)
    turn_views(scene, volume_node, sights)
    landmarks, points = landmarks_from_fiducials(fiducials), _named_points(fiducials)
    fiducials.GetDisplayNode().SetVisibility(False)
    found = [landmark for landmark in landmarks if landmark.position_ras is not None]
    middle = slice(len(found) // 2, len(found) // 2 + 1)
    paths = []
    for layout_name, orientation in SLICE_VIEWS.items():
        axial = orientation == "Axial"
        _show_curves(scene, not axial)
        _set_slab(scene.GetSingletonNode(layout_name, "vtkMRMLSliceNode"), sights.of(orientation).spread_mm)
        paths.append(folder / f"{orientation.lower()}.png")
        draw_slice(
            application_logic, layout_name, _caption_of_one(found[middle]) if axial else _caption(landmarks), paths[-1],
            points=points[middle] if axial else points, reach_mm=_REACH_MM[orientation],
        )
    if not found:
        return paths
    paths.append(folder / "view3d.png")
    positions = np.array([landmark.position_ras for landmark in found]).reshape(-1, 3)
    recoded = recoded_bones(volume_from_node(volume_node), positions)
    draw_volume(application_logic, volume_node, recoded, BONE_TRANSFER, paths[-1], points=points, reach_mm=_REACH_3D_MM)
    return paths


def _named_points(fiducials: Any) -> list[NamedPoint]:
    """The points that are not missing, in their order; the flagged ones in their own colour."""
    ordinary, flagged = fiducials.GetDisplayNode().GetSelectedColor(), fiducials.GetDisplayNode().GetColor()
    points = []
    for number in defined_points(fiducials):
        words, place = fiducials.GetNthControlPointLabel(number), fiducials.GetNthControlPointPositionWorld(number)
        if fiducials.GetNthControlPointSelected(number):
            points.append(NamedPoint(words, place, ordinary))
        else:
            points.append(NamedPoint(words, place, flagged, flagged))
    return points


def _show_curves(scene: Any, on: bool) -> None:
    """Draw curves whole, however far they are from the slice, or not at all."""
    for node in nodes_of(scene, "vtkMRMLMarkupsCurveNode"):
        display = node.GetDisplayNode()
        display.SetVisibility2D(on)
        display.SetLineColorFadingStart(_ANY_DISTANCE_MM)
        display.SetLineColorFadingEnd(_ANY_DISTANCE_MM + 1)


def _set_slab(slice_node: Any, spread_mm: float) -> None:
    """Show the brightest of a slab where a single slice would leave the landmarks: bones then stay in the picture."""
    slice_node.SetSlabReconstructionEnabled(spread_mm > _LEAST_SLAB_MM)
    # VTK's number for the maximum.
    slice_node.SetSlabReconstructionType(1)
    slice_node.SetSlabReconstructionThickness(min(spread_mm, _MOST_SLAB_MM))


def _caption(landmarks: Sequence[Landmark]) -> str:
    """How many were found, and which of them to look at twice."""
    found = sum(landmark.status != "missing" for landmark in landmarks)
    flagged = [landmark.label for landmark in landmarks if landmark.status == "flagged"]
    words = f"{found} of {len(landmarks)} found"
    if flagged:
        words += f"   flagged: {', '.join(flagged[:_MOST_NAMED])}" + (" …" if len(flagged) > _MOST_NAMED else "")
    return words


def _caption_of_one(landmarks: Sequence[Landmark]) -> str:
    words = [f"{landmark.label}   confidence {landmark.confidence:.2f}" for landmark in landmarks]
    return words[0] if words else "nothing found"
