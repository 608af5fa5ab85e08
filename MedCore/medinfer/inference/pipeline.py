"""One run: the passes of a model in order, and the result built from their findings.

Each pass goes along one straight line: Volume -> prepare -> tiles -> backend -> joined -> decoder -> world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..anatomy.chain import runs_upside_down
from ..errors import ScanError
from ..findings import Box, Findings, Landmark, parted
from ..library.package import ModelPackage
from ..manifest import Kind, Manifest
from ..preparation.focus import boxes_in_focus, focus_note, landmarks_in_focus
from ..preparation.hounsfield import in_hounsfield
from ..volume import Volume
from .found import Boxes, Earlier, Found, Objects, Points, as_kind, only_labels
from .network_run import plan_tiles
from .package_session import PackageSession, open_package
from .passes import run_pass
from .segments import Refine, Segments, segments_of
from .watch import Cancel, Progress, Saw, Watch

_UPSIDE_DOWN = "scan upside down?"
_TURNED = "the scan may be stored upside down (the feet are where its header places the head): do not trust the names"
_UNLIKE = "the anatomy that this model was trained on is not in view, or looks different here"


def run(
    volume: Volume, package: ModelPackage, session: PackageSession, *, threshold: float | None = None,
    refine: Refine | None = None, progress: Progress | None = None, cancel: Cancel | None = None,
    assume_hu: bool = False, saw: Saw | None = None,
) -> Findings:
    """Run `package` on `volume`; only inside its `focus`, if it has one.

    volume: with the further images of the model, if it has some (see `with_further`).
    session: from `open_package`; it can serve many runs. threshold: instead of the declared one (of the pass that leads
    the result). refine: changes the borders of segments by the scan's values (see `refinement`), on the scan's grid.
    assume_hu: take a CT's values as they are (see `in_hounsfield`, whose note stands in the findings).
    saw(pass, prepared): is given what each pass that looks at a region sees of it; keep no more than is needed.
    progress(stage, done, total) is called from this thread; cancel() is asked between tiles and raises Cancelled.

    Memory: the prepared region (4 bytes per voxel) of one pass, one tile through the network, and the decoders' state
    (two bytes per output voxel for labels, the candidates for anchors, a few kilobytes per landmark for heatmaps, for
    segments two bytes per output voxel, 120 per foreground voxel and one byte per voxel of the scan around them);
    it does not grow with the classes. What is on a graphics card besides the network: see `device_run`.
    Raises ScanError, PackageError, DeviceError, Cancelled.
    """
    manifest, score = package.manifest, package.threshold(threshold)
    for image in manifest.images[1:]:
        if image.name not in volume.further:
            raise ScanError(f"{volume.name} is not enough for {package.id}: it also needs the image {image.name}.")
    volume = in_hounsfield(volume, [one.prepare for one in manifest.passes], assume_hu=assume_hu)
    watch = Watch(
        progress or (lambda stage, done, total: None), cancel or (lambda: False), saw or (lambda one, prepared: None)
    )
    found: dict[str, Found] = {}
    candidates: tuple[Box, ...] = ()
    floor = None if manifest.floor is None else min(score, manifest.floor)
    told = {one.name: tuple(label.name for label in manifest.labels_of(one)) for one in manifest.passes}
    for one in manifest.passes:
        least = one.decoder.threshold if one is not manifest.leading else score if floor is None else floor
        with watch.within(one.name if len(manifest.passes) > 1 else ""):
            earlier, network = Earlier(found, told), session.passes[one.name]
            found[one.name] = run_pass(volume, manifest, one, network, least, earlier, watch)
        if one is manifest.leading and floor is not None:
            # Later passes and the result go by what is above the threshold.
            found[one.name], candidates = _parted(found[one.name], manifest, score)
    boxes, landmarks, answer = _answer(volume, manifest, found, watch, refine)
    boxes, candidates = _measured(volume, manifest, (boxes, boxes_in_focus(volume, candidates)), watch)
    return Findings(
        boxes=boxes,
        landmarks=landmarks,
        segments=answer.segments,
        label_map=answer.label_map,
        candidates=candidates,
        scan=volume.name,
        series=volume.series,
        model=package.reference,
        run={
            "runtime": session.runtime, "device": session.device, "precision": session.precision,
            "threshold": score, **({} if floor is None else {"floor": floor}), "tiles": watch.tiles,
            "seconds": {stage: round(s, 3) for stage, s in watch.seconds.items()},
        },
        notes=(
            *volume.notes, *focus_note(volume), *_thickness(manifest, volume), *dict.fromkeys(watch.notes),
            *_notes(manifest, landmarks, answer, volume, watch.upside_down),
        ),
    )


def _parted(found: Found, manifest: Manifest, threshold: float) -> tuple[Found, tuple[Box, ...]]:
    """The boxes above the threshold, and the weaker ones that the result would name."""
    assert isinstance(found, Boxes)
    above, weaker = parted(found.boxes, threshold)
    named = only_labels(Boxes(weaker), manifest.result[0].labels)
    assert isinstance(named, Boxes)
    return Boxes(above), named.boxes


def _measured(
    volume: Volume, manifest: Manifest, parts: tuple[tuple[Box, ...], tuple[Box, ...]], watch: Watch
) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Boxes and candidates with the measures that the result declares."""
    measuring = [entry for entry in manifest.result if entry.measure]
    labels = {name for entry in measuring for name in entry.labels or _names(manifest, entry.of)}
    if not any(box.label in labels for boxes in parts for box in boxes):
        return parts
    from ..anatomy.nodule_size import measure_nodule

    measured: list[Box] = []
    with watch.stage("measures"):
        for boxes in parts:
            for box in boxes:
                watch.step("measures", len(measured), sum(map(len, parts)))
                measures = measure_nodule(volume, box) if box.label in labels else None
                measured.append(replace(box, measures=measures))
    first = len(parts[0])
    return tuple(measured[:first]), tuple(measured[first:])


def _names(manifest: Manifest, name: str) -> tuple[str, ...]:
    """What a pass can call its findings."""
    return (*(label.name for label in manifest.labels_of(manifest.pass_named(name))), manifest.unnamed)


def _answer(
    volume: Volume, manifest: Manifest, found: Mapping[str, Found], watch: Watch, refine: Refine | None
) -> tuple[tuple[Box, ...], tuple[Landmark, ...], Segments]:
    """The result's parts, each as the kind that it is declared as."""
    boxes: list[Box] = []
    landmarks: list[Landmark] = []
    objects: dict[str, Objects] = {}
    for entry in manifest.result:
        part = as_kind(only_labels(found[entry.of], entry.labels), entry.kind)
        if isinstance(part, Boxes):
            boxes += boxes_in_focus(volume, part.boxes)
        elif isinstance(part, Points):
            landmarks += landmarks_in_focus(volume, part.landmarks)
        else:
            objects[entry.of] = part
    if watch.upside_down:
        landmarks = [replace(entry, flags=(*entry.flags, _UPSIDE_DOWN)) for entry in landmarks]
    if len(manifest.result) > 1:
        boxes.sort(key=lambda box: -box.score)
    return tuple(boxes), tuple(landmarks), segments_of(volume, objects, manifest.labels, watch, refine)


def _notes(
    manifest: Manifest, landmarks: Sequence[Landmark], answer: Segments, volume: Volume, upside_down: bool
) -> list[str]:
    """What a user should know of all findings together."""
    if upside_down:
        return [_TURNED]
    kinds: set[Kind] = {entry.kind for entry in manifest.result}
    notes = []
    if "objects" in kinds and not answer.segments:
        notes.append(f"nothing was found: {_UNLIKE}{_doubt(volume)}")
    if answer.left_out:
        notes.append(f"{answer.left_out} objects were left out: a label map holds at most 255")
    places = [landmark.position_ras for landmark in landmarks]
    if "points" in kinds and not any(places):
        notes.append(f"no landmark was found: {_UNLIKE}")
    elif "points" in kinds and _is_chain(manifest) and runs_upside_down(places):
        notes.append(_TURNED)
    return notes


def _thickness(manifest: Manifest, volume: Volume) -> list[str]:
    """What thick slices mean for the findings."""
    here, thickest = max(volume.spacing), manifest.card.thickest_mm
    # Headers are rounded.
    if thickest is None or here <= 1.01 * thickest:
        return []
    return [
        f"the slices are {here:.1f} mm apart, more than the {thickest:g} mm that this model is meant for: small "
        "findings can be missed or misplaced"
    ]


def _is_chain(manifest: Manifest) -> bool:
    """Whether the landmarks of the result follow each other along a line."""
    decoders = [manifest.pass_named(entry.of).decoder for entry in manifest.result]
    return any(decoder.kind == "heatmap" and decoder.chain is not None for decoder in decoders)


def _doubt(volume: Volume) -> str:
    """A possible reason why nothing was found in a scan."""
    if not np.allclose(volume.spacing, 1):
        return ""
    return "; its spacing is 1 mm, which often means that the file had no spacing: check it"


__all__ = ["Cancel", "PackageSession", "Progress", "open_package", "plan_tiles", "run"]
