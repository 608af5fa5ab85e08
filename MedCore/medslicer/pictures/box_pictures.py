"""Pictures of boxes: three slices through the best one, all on a sheet, and the chest in 3-D with all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..nodes.markups import CONFIDENCE, VOLUME_ROLE, measured
from ..nodes.rois import box_from_roi, lung_of, size_of
from ..nodes.volumes import volume_from_node
from ..views.sights import sights_of_boxes
from ..views.views import SLICE_VIEWS, turn_views
from .box_numbers import NumberedBox
from .chest_rendering import CHEST_TRANSFER, recoded_chest
from .findings_sheet import MOST, draw_sheet
from .slice_picture import draw_slice
from .volume_picture import draw_volume


def draw_boxes(application_logic: Any, volume_node: Any, rois: Sequence[Any], folder: Path) -> list[Path]:
    """Draw the best of `rois` in axial, coronal and sagittal slices and all of them in 3-D.

    Without a box the slices go through the middle of the scan. Writes axial.png, coronal.png and sagittal.png, with a
    box view3d.png, with several findings.png to `folder` and returns them. Raises OutputError.
    """
    rois = sorted(rois, key=lambda roi: -measured(roi, CONFIDENCE))
    best = rois[0] if rois else None
    if best:
        volume_node = best.GetNodeReference(VOLUME_ROLE)
    turn_views(application_logic.GetMRMLScene(), volume_node, sights_of_boxes(rois, volume_node))
    numbered = [] if len(rois) < 2 else [_numbered(roi) for roi in rois]
    paths = []
    for layout_name, orientation in SLICE_VIEWS.items():
        paths.append(folder / f"{orientation.lower()}.png")
        draw_slice(application_logic, layout_name, caption_of(best), paths[-1], numbered=numbered)
    if len(rois) > 1:
        shown = rois[:MOST]
        paths.append(folder / "findings.png")
        draw_sheet(volume_node, shown, [caption_of(roi) for roi in shown], paths[-1])
    if not rois:
        return paths
    paths.append(folder / "view3d.png")
    recoded = recoded_chest(volume_from_node(volume_node), [box_from_roi(roi) for roi in rois])
    draw_volume(application_logic, volume_node, recoded, CHEST_TRANSFER, paths[-1], numbered=numbered)
    return paths


def _numbered(roi: Any) -> NumberedBox:
    """The ROI with its rank among the findings, which its name ends with."""
    import slicer

    half = np.array(roi.GetSize()) / 2
    corners = np.array([[*(half * signs), 1.0] for signs in product((-1, 1), repeat=3)])
    to_world = slicer.util.arrayFromVTKMatrix(roi.GetObjectToWorldMatrix())
    return NumberedBox(roi.GetName().rpartition(" ")[2], (corners @ to_world.T)[:, :3])


def caption_of(best: Any | None) -> str:
    """What a slice through a ROI says of it: "Nodule 1   score 0.91   7.1 mm, left lung"."""
    if best is None:
        return "nothing found"
    details = ", ".join(filter(None, (size_of(best), lung_of(best.GetNthControlPointDescription(0)))))
    return f"{best.GetName()}   score {measured(best, CONFIDENCE):.2f}   {details}"
