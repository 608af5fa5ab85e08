"""One straight line: Volume -> prepare -> tiles -> backend -> joined -> decoder -> Findings.

A package of several stages goes along it several times: the points of a coarse pass say where the next one looks, and
objects that were found are named by a pass over a patch around each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..anatomy.chain import runs_upside_down
from ..backends import Session
from ..decoders import IndexBox, IndexPoint, decoding_for
from ..findings import Box, Findings, Landmark, Segment, box_from_index
from ..label_map import LabelMap
from ..library.package import ModelPackage
from ..manifest import Label, Manifest, Stage
from ..preparation.focus import boxes_in_focus, focus_note, landmarks_in_focus
from ..preparation.prepare import Prepared, prepare
from ..volume import Volume
from .network_run import decode_tiles, plan_tiles
from .package_session import PackageSession, open_package
from .patches import decode_patches, reach_mm
from .segments import Refine, find_segments, name_objects
from .watch import Cancel, Progress, Watch

# A scan is called upside down where turning it makes the landmarks so many times surer in all: a network that doesn't
# tell head from foot is equally sure both ways. Fewer landmarks than these say nothing.
_SURER, _FEWEST = 1.25, 3
_UPSIDE_DOWN = "scan upside down?"
_UNLIKE = "the anatomy that this model knows is not in view, or is unlike what it knows"


def run(
    volume: Volume, package: ModelPackage, session: PackageSession, *, threshold: float | None = None,
    refine: Refine | None = None, progress: Progress | None = None, cancel: Cancel | None = None,
) -> Findings:
    """Find in `volume` what `package` was trained for; in its `focus` alone, where it has one.

    session: from `open_package`; it can serve many runs. threshold: instead of the declared one. refine: changes the
    borders of segments by the scan's values (see `refinement`), on the scan's own grid.
    progress(stage, done, total) is called from this thread; cancel() is asked between tiles and raises Cancelled.

    Memory: the prepared region (4 bytes a voxel), one tile through the network, and what the decoder keeps
    (two bytes an output voxel for labels, the candidates for anchors, a few kilobytes a landmark for heatmaps, for
    segments two bytes an output voxel, 120 a foreground voxel and one byte a voxel of the scan around them);
    it does not grow with the classes. Raises ScanError, PackageError, DeviceError, Cancelled.
    """
    manifest, score = package.manifest, package.threshold(threshold)
    watch = Watch(progress or (lambda stage, done, total: None), cancel or (lambda: False))
    points = _coarse_points(volume, manifest, session, watch)
    found: Sequence[Box | Landmark] = points
    segments: tuple[Segment, ...] = ()
    label_map: LabelMap | None = None
    if manifest.task == "segment":
        found = []
        segments, label_map = find_segments(volume, manifest, session.stages, score, points, watch, refine)
    elif manifest.coarse is None or any(point.position_ras is not None for point in points):
        if manifest.decoder.kind == "classes":
            found = _named_points(volume, manifest, session.stages["main"], points, watch)
        else:
            found = _run_stage(volume, manifest, manifest.labels, session.stages["main"], score, points, watch)
    boxes = boxes_in_focus(volume, [entry for entry in found if isinstance(entry, Box)])
    landmarks = landmarks_in_focus(volume, [entry for entry in found if isinstance(entry, Landmark)])
    if watch.upside_down:
        landmarks = tuple(replace(entry, flags=(*entry.flags, _UPSIDE_DOWN)) for entry in landmarks)
    return Findings(
        boxes=boxes,
        landmarks=landmarks,
        segments=segments,
        label_map=label_map,
        scan=volume.name,
        model=package.reference,
        run={
            "runtime": session.runtime, "device": session.device, "precision": session.precision,
            "threshold": score, "tiles": watch.tiles,
            "seconds": {stage: round(s, 3) for stage, s in watch.seconds.items()},
        },
        notes=(*volume.notes, *focus_note(volume), *_notes(landmarks, segments, manifest, volume, watch.upside_down)),
    )


def _notes(
    landmarks: Sequence[Landmark], segments: Sequence[Segment], manifest: Manifest, volume: Volume, upside_down: bool
) -> list[str]:
    """What a user should know of all findings together."""
    turned = "the scan seems to be stored upside down (feet where its header says the head is): don't trust the names"
    if upside_down:
        return [turned]
    if manifest.task == "segment":
        return [] if segments else [f"nothing was found: {_UNLIKE}{_doubt(volume)}"]
    if manifest.task != "landmark":
        return []
    places = [landmark.position_ras for landmark in landmarks]
    if not any(places):
        return [f"no landmark was found: {_UNLIKE}"]
    chain = manifest.decoder.chain if manifest.decoder.kind == "heatmap" else None
    return [turned] if chain is not None and runs_upside_down(places) else []


def _doubt(volume: Volume) -> str:
    """What may be wrong with a scan in which nothing was found."""
    if not np.allclose(volume.spacing, 1):
        return ""
    return "; its voxels are said to be 1 mm wide, as of a file without spacing: check that"


def _coarse_points(volume: Volume, manifest: Manifest, session: PackageSession, watch: Watch) -> list[Landmark]:
    """What the coarse stage finds; of a single heatmap for many labels, points without a name."""
    coarse = manifest.coarse
    if coarse is None:
        return []
    labels = manifest.labels
    if coarse.network.channels < len(labels):
        labels = (Label(value=1, name=manifest.unnamed),)
    with watch.within("coarse "):
        found = _run_stage(volume, coarse, labels, session.stages["coarse"], coarse.decoder.threshold, [], watch)
    return list(landmarks_in_focus(volume, [entry for entry in found if isinstance(entry, Landmark)]))


def _named_points(
    volume: Volume, stage: Manifest, session: Session, points: Sequence[Landmark], watch: Watch
) -> list[Landmark]:
    """The coarse stage's points under the names that a stage of class scores gives them."""
    found = [point for point in points if point.position_ras is not None]
    names = name_objects(volume, stage, stage.labels, session, np.array([point.position_ras for point in found]), watch)
    return [
        replace(point, label=name.label or stage.unnamed, confidence=min(point.confidence, name.confidence),
                flags=(*point.flags, *name.flags))
        for point, name in zip(found, names, strict=True)
    ]


def _run_stage(
    volume: Volume, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], watch: Watch,
) -> list[Box | Landmark]:
    """One pass over the scan, or over patches around `points` (the coarse stage's)."""
    places = [point.position_ras for point in points if point.position_ras is not None]
    with watch.stage("prepare"):
        prepared = prepare(
            volume, stage.prepare, watch.cancel, points=np.array(places) if places else None, reach_mm=reach_mm(stage),
        )
    with watch.stage("network"):
        found: Sequence[IndexBox | IndexPoint]
        if stage.tiling.join == "patches":
            found = decode_patches(prepared, stage, labels, session, threshold, points, watch)
        else:
            found = _decoded(prepared, stage, labels, session, threshold, watch)
        if _upside_down(prepared, stage, labels, session, threshold, found, watch):
            watch.upside_down = True
    with watch.stage("findings"):
        return [_to_world(entry, prepared, volume) for entry in found]


def _decoded(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float, watch: Watch
) -> Sequence[IndexBox | IndexPoint]:
    found = decode_tiles(prepared, stage, session, decoding_for(stage, labels, prepared.grid, threshold), watch)
    assert isinstance(found, Sequence)
    return found


def _upside_down(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    found: Sequence[IndexBox | IndexPoint], watch: Watch,
) -> bool:
    """Whether a chain that asks for it is found with more confidence in the scan turned upside down."""
    chain = stage.decoder.chain if stage.decoder.kind == "heatmap" else None
    if chain is None or not chain.upside_down:
        return False
    turned = replace(prepared, voxels=np.ascontiguousarray(prepared.voxels[::-1]))
    other = _decoded(turned, stage, labels, session, threshold, watch)
    here, there = _confidences(found), _confidences(other)
    return len(there) >= _FEWEST and sum(there) > _SURER * sum(here)


def _confidences(found: Sequence[IndexBox | IndexPoint]) -> list[float]:
    """Of the landmarks that were found and contradict no other."""
    points = [entry for entry in found if isinstance(entry, IndexPoint)]
    return [point.confidence for point in points if point.position is not None and not point.flags]


def _to_world(entry: IndexBox | IndexPoint, prepared: Prepared, volume: Volume) -> Box | Landmark:
    if isinstance(entry, IndexPoint):
        return _landmark(entry, prepared, volume)
    spacing = float(np.mean(prepared.grid.spacing))
    diameter = None if entry.diameter_voxels is None else entry.diameter_voxels * spacing
    center = prepared.grid.to_ras((np.array(entry.low) + np.array(entry.high) - 1) / 2)
    return box_from_index(
        prepared.grid, entry.low, entry.high, label=entry.label, score=entry.score, diameter_mm=diameter,
        side=prepared.side_of((float(center[0]), float(center[1]), float(center[2]))),
    )


def _landmark(point: IndexPoint, prepared: Prepared, volume: Volume) -> Landmark:
    """In the world; missing where it lies outside the scan, which a patch at its border reaches over."""
    missing = Landmark(point.label, None, point.confidence)
    if point.position is None:
        return missing
    ras = prepared.grid.to_ras(point.position)
    index = volume.grid.to_index(ras)
    if (index < -0.5).any() or (index > np.array(volume.shape) - 0.5).any():
        return missing
    r, a, s = (float(value) for value in ras)
    deviation = None
    if point.deviation is not None:
        k, j, i = (float(d * mm) for d, mm in zip(point.deviation, prepared.grid.spacing, strict=True))
        deviation = (k, j, i)
    return Landmark(point.label, (r, a, s), point.confidence, point.flags, deviation)


__all__ = ["Cancel", "PackageSession", "Progress", "open_package", "plan_tiles", "run"]
