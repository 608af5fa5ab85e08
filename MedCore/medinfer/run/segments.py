"""Segments: found on a network's grid, named, brought to the scan's own grid and measured there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..anatomy.arch import ArchName, names_along_arches
from ..backends import Session
from ..decoders import IndexSegments, decoding_for
from ..findings import Landmark, Segment, Vector
from ..label_map import LabelMap
from ..manifest import Companion, Label, Manifest, Stage
from ..preparation.focus import segments_in_focus
from ..preparation.prepare import Prepared, prepare
from ..volume import Floats, Grid, Volume
from .network_run import decode_tiles
from .patches import class_scores, reach_mm
from .scan_labels import measured, on_scan
from .watch import Watch

# Changes a label map's borders: (scan's values, labels, both [k, j, i], spacing in mm) -> labels.
Refine = Callable[[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Named:
    """What a value of a label map is."""

    label: str
    confidence: float
    flags: tuple[str, ...] = ()


def find_segments(
    volume: Volume, manifest: Manifest, sessions: Mapping[str, Session], threshold: float,
    points: Sequence[Landmark], watch: Watch, refine: Refine | None = None,
) -> tuple[tuple[Segment, ...], LabelMap | None]:
    """The segments of the main stage and of those besides it, in the order of the labels, and their voxels.

    points: of the coarse stage. Memory: see `run`; on the scan's own grid one byte a voxel of the box around all
    segments, and four while a slab of it is made.
    """
    places = _places(points)
    maps: list[tuple[LabelMap, dict[int, _Named]]] = []
    for name, stage in manifest.stages.items():
        if name in ("coarse", "naming") or (stage.needs_points and not len(places)):
            continue
        with watch.within("" if name == "main" else f"{name} "):
            score = threshold if name == "main" else stage.decoder.threshold
            labels = stage.labels if isinstance(stage, Companion) else manifest.labels
            prepared, found = _found(volume, stage, labels, sessions[name], score, places, watch)
            if found.segments:
                known = _known(volume, manifest, stage, prepared, found, labels, sessions, watch)
                with watch.stage("borders"):
                    maps.append((on_scan(_with_values(found, known), prepared.grid, stage, volume), known))
    if not maps:
        return (), None
    with watch.stage("measures"):
        whole = _joined([entry for entry, _ in maps], volume.grid)
        if refine is not None:
            whole = replace(whole, voxels=refine(_values(volume, whole), whole.voxels, whole.grid.spacing))
        named = {value: known for _, entries in reversed(maps) for value, known in entries.items()}
        segments, whole = segments_in_focus(volume, _measured(whole, named, manifest), whole)
        return segments, whole if segments else None


def _places(points: Sequence[Landmark]) -> Floats:
    """Where points were found: [n, 3] RAS mm."""
    return np.array([point.position_ras for point in points if point.position_ras is not None]).reshape(-1, 3)


def _found(
    volume: Volume, stage: Stage, labels: Sequence[Label], session: Session, threshold: float, places: Floats,
    watch: Watch,
) -> tuple[Prepared, IndexSegments]:
    """What one stage finds, on its own grid."""
    with watch.stage("prepare"):
        prepared = prepare(volume, stage.prepare, watch.cancel, points=places, reach_mm=reach_mm(stage))
    with watch.stage("network"):
        seeds = prepared.grid.to_index(places) if len(places) else None
        decoding = decoding_for(stage, labels, prepared.grid, threshold, seeds)
        found = decode_tiles(prepared, stage, session, decoding, watch)
        assert isinstance(found, IndexSegments)
        return prepared, found


def _known(
    volume: Volume, manifest: Manifest, stage: Stage, prepared: Prepared, found: IndexSegments, labels: Sequence[Label],
    sessions: Mapping[str, Session], watch: Watch,
) -> dict[int, _Named]:
    """What each segment is called, by the value that it gets in the label map, in the order of `found.segments`."""
    if stage.decoder.kind == "segments":
        names = {label.value: label.name for label in labels}
        return {entry.value: _Named(names[entry.value], entry.confidence, entry.flags) for entry in found.segments}
    answers = [ArchName(None, 1.0) for _ in found.segments]
    if manifest.naming is not None:
        with watch.within("naming "):
            centres = prepared.grid.to_ras([entry.centroid for entry in found.segments])
            answers = name_objects(volume, manifest.naming, manifest.labels, sessions["naming"], centres, watch)
    values = {label.name: label.value for label in labels}
    free = iter(range(max(label.value for label in manifest.all_labels) + 1, 256))
    return {
        values[answer.label] if answer.label else next(free): _Named(
            answer.label or manifest.unnamed, min(entry.confidence, answer.confidence), (*entry.flags, *answer.flags)
        )
        for entry, answer in zip(found.segments, answers, strict=True)
    }


def name_objects(
    volume: Volume, stage: Stage, labels: Sequence[Label], session: Session, centres_ras: Floats, watch: Watch
) -> list[ArchName]:
    """Which of the labels each object is, all of them together. centres_ras: [n, 3] mm."""
    assert stage.decoder.kind == "classes"
    with watch.stage("prepare"):
        prepared = prepare(volume, stage.prepare, watch.cancel, points=centres_ras, reach_mm=reach_mm(stage))
    with watch.stage("network"):
        scores = class_scores(prepared, stage, session, list(centres_ras), watch)
    with watch.stage("names"):
        names, decoder = [label.name for label in labels], stage.decoder
        if not decoder.arches:
            return _names_one_by_one(scores, names, decoder.threshold)
        return names_along_arches(scores, names, centres_ras, decoder.arches, decoder.threshold)


def _names_one_by_one(scores: Floats, names: Sequence[str], threshold: float) -> list[ArchName]:
    """Each object's likeliest label by `scores` [n, labels]; of several with the same the surest keeps it."""
    sure, best = scores.max(axis=1), scores.argmax(axis=1)
    keeper = {int(best[n]): int(n) for n in np.argsort(sure, kind="stable")}
    return [
        ArchName(names[label], float(score)) if score >= threshold and keeper[int(label)] == n
        else ArchName(None, float(score), (f"name unsure: {names[label]}",))
        for n, (label, score) in enumerate(zip(best, sure, strict=True))
    ]


def _with_values(found: IndexSegments, known: Mapping[int, _Named]) -> IndexSegments:
    """The same voxels under the values that the label map uses."""
    table = np.zeros(256, np.uint8)
    for entry, value in zip(found.segments, known, strict=True):
        table[entry.value] = value
    return replace(found, labels=table[found.labels])


def _joined(maps: Sequence[LabelMap], grid: Grid) -> LabelMap:
    """One map of the box around all of them; where two claim a voxel, the first keeps it."""
    if len(maps) == 1:
        return maps[0]
    starts = np.array([entry.start_in(grid) for entry in maps])
    low = starts.min(axis=0)
    high = (starts + [entry.voxels.shape for entry in maps]).max(axis=0)
    voxels = np.zeros(high - low, np.uint8)
    for entry, start in zip(reversed(maps), reversed(starts - low), strict=True):
        inside = voxels[tuple(slice(a, a + n) for a, n in zip(start, entry.voxels.shape, strict=True))]
        np.copyto(inside, entry.voxels, where=entry.voxels > 0)
    k, j, i = (int(n) for n in low)
    return LabelMap(voxels, grid.cropped((k, j, i), voxels.shape))


def _values(volume: Volume, labels: LabelMap) -> NDArray[np.float32]:
    """The scan's values in the label map's box."""
    begin = labels.start_in(volume.grid)
    box = tuple(slice(a, a + n) for a, n in zip(begin, labels.voxels.shape, strict=True))
    return volume.voxels[box].astype(np.float32)


def _measured(whole: LabelMap, named: Mapping[int, _Named], manifest: Manifest) -> tuple[Segment, ...]:
    order = {label.name: index for index, label in enumerate(manifest.all_labels)}
    sizes = measured(whole)
    segments = [
        Segment(entry.label, value, entry.confidence, _vector(sizes[value].center_ras), sizes[value].volume_mm3,
                sizes[value].length_mm, entry.flags)
        for value, entry in named.items() if value in sizes
    ]
    return tuple(sorted(segments, key=lambda segment: (order.get(segment.label, len(order)), segment.value)))


def _vector(values: Floats) -> Vector:
    r, a, s = (float(value) for value in values)
    return r, a, s
