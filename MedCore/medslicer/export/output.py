"""Files for Slicer from a run's findings: markups or segmentation, scene, pictures.

The command line calls it, if it is installed: it is registered under the entry points `medinfer.outputs`, and
`medinfer` itself does not depend on Slicer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medinfer.command.results import stem_of
from medinfer.findings import Findings
from medinfer.manifest import Clip, Manifest
from medinfer.volume import Volume

from ..headless import SlicerMissingError, import_slicer, open_scene
from ..nodes.volumes import BONE_WINDOW, LUNG_WINDOW, add_volume, dental_window
from ..pictures.pictures import PictureError, draw_scene
from ..profiles import profile_for
from ..results.result import Result, add_result
from ..views.sights import Sights, sights_of_boxes, sights_of_landmarks, sights_of_segments
from ..views.views import turn_views
from .saving import save_markups, save_scene, save_segmentation

SCENE_FILE = "scene.mrb"
# HU: a model that sees no more than this looks at soft tissue, which lung and bone windows wash out.
_SOFT_TISSUE = 1000
log = logging.getLogger(__name__)


def write_scene(
    volume: Volume, findings: Findings, manifest: Manifest, folder: Path, *,
    pictures: bool = True, on_stage: Callable[[str], None] = lambda stage: None,
) -> list[Path]:
    """Write `findings` on `volume` to `folder` and return the files.

    The markups in one file: boxes in `nodules.mrk.json`, by the package's label; points and, of a chain, the curve
    through them in `landmarks.mrk.json`. Segments in `teeth.seg.nrrd`. The scan with all of it and the table as
    `scene.mrb`. With `pictures` axial.png, coronal.png, sagittal.png and, where something was found, view3d.png; of
    teeth panoramic.png as well, of several boxes findings.png.
    `on_stage` is told "scene" and "pictures" as they begin. Raises OutputError where a file cannot be written.
    What is not installed costs its files and not the run: a scene without slicer-core, or pictures without a way to
    draw, are a warning in the log that says what to install.
    """
    try:
        import_slicer()
    except SlicerMissingError as error:
        log.warning("%s", error)
        return []
    folder.mkdir(parents=True, exist_ok=True)
    # Slicer reads no bundle from a relative path.
    folder = folder.resolve()
    stem = stem_of(manifest)
    suffix = "seg.nrrd" if manifest.task == "segment" else "mrk.json"
    paths = [folder / f"{stem}.{suffix}", folder / SCENE_FILE]
    on_stage("scene")
    with open_scene() as scene:
        volume_node = add_volume(scene, volume, _window(volume, manifest))
        # As the module makes it, which can then review what a batch has found.
        result = add_result(
            scene, findings, volume_node, manifest, profile_for(manifest.task), name=stem.capitalize()
        )
        turn_views(scene, volume_node, _sights(result, volume_node))
        if result.nodes.segmentation:
            save_segmentation(result.nodes.segmentation, paths[0])
        else:
            # Weaker candidates are in the scene, hidden; a file of markups has no such state.
            save_markups(_shown_boxes(result) if manifest.task == "detect" else result.nodes.markups, paths[0])
        save_scene(scene, paths[1])
    if pictures:
        on_stage("pictures")
        try:
            paths += draw_scene(paths[1], folder)
        except PictureError as error:
            log.warning("%s", error)
    return paths


def _window(volume: Volume, manifest: Manifest) -> tuple[float, float]:
    """Window and level: what the model declares or, of soft tissue, clips; or else what is usual for its task."""
    declared, prepare = manifest.card.window, manifest.leading.prepare
    # Behind another step a clip is of other values than the scan's.
    first = prepare.intensity[0] if prepare.hounsfield and prepare.intensity else None
    if declared is None and isinstance(first, Clip) and first.high - first.low <= _SOFT_TISSUE:
        declared = first.low, first.high
    if declared is not None:
        low, high = declared
        return high - low, (low + high) / 2
    if manifest.task == "segment":
        return dental_window(volume)
    return BONE_WINDOW if manifest.task == "landmark" else LUNG_WINDOW


def _shown_boxes(result: Result) -> list[Any]:
    return [result.nodes.roi(row.number) for row in result.shown_rows]


def _sights(result: Result, volume_node: Any) -> Sights:
    nodes = result.nodes
    if nodes.segmentation:
        return sights_of_segments(nodes.segmentation, volume_node)
    if nodes.fiducials:
        return sights_of_landmarks(nodes.fiducials, volume_node)
    return sights_of_boxes(_shown_boxes(result), volume_node)
