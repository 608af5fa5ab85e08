"""The label of each finding of an earlier pass, from the class scores of a patch around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..anatomy.arch import ArchName, names_along_arches
from ..anatomy.implants import on_implants
from ..backends import Session
from ..manifest import Arch, Label, Pass
from ..preparation.prepare import Around, prepare
from ..volume import Floats, Volume
from .found import Boxes, Earlier, Found, Named, Objects, Points, places_of
from .patches import class_scores, reach_mm
from .watch import Watch

_IMPLANT = "implant crown?"


def named(
    there: Found, volume: Volume, one: Pass, labels: Sequence[Label], unnamed: str, session: Session,
    earlier: Earlier, watch: Watch,
) -> Found:
    """The findings `there` under the names that the pass gives them; points that were not found are left out.

    A finding is at most as confident as its name. unnamed: the name of findings without one.
    """
    if isinstance(there, Points):
        there = Points(tuple(point for point in there.landmarks if point.position_ras is not None))
    names = _names(volume, one, labels, session, places_of(there), earlier, watch)
    if isinstance(there, Points):
        return Points(tuple(
            replace(point, label=name.label or unnamed, confidence=min(point.confidence, name.confidence),
                    flags=(*point.flags, *name.flags))
            for point, name in zip(there.landmarks, names, strict=True)
        ))
    if isinstance(there, Boxes):
        return Boxes(tuple(
            replace(box, label=name.label or unnamed, score=min(box.score, name.confidence))
            for box, name in zip(there.boxes, names, strict=True)
        ))
    if one.decoder.kind == "classes" and one.decoder.arches:
        with watch.stage("names"):
            names = _implants_flagged(names, there, volume, one.decoder.arches)
    return replace(there, told=tuple(label.name for label in labels), names=tuple(
        Named(name.label or unnamed, min(before.confidence, name.confidence), (*before.flags, *name.flags))
        for before, name in zip(there.names, names, strict=True)
    ))


def _names(
    volume: Volume, one: Pass, labels: Sequence[Label], session: Session, places_ras: Floats,
    earlier: Earlier, watch: Watch,
) -> list[ArchName]:
    """Which of the labels is at each place (`[n, 3]` RAS mm), all of them together."""
    assert one.decoder.kind == "classes"
    with watch.stage("prepare"):
        around = Around(places_ras, reach_mm=reach_mm(one))
        prepared = prepare(volume, one.prepare, watch.cancel, around=around, images=one.network.images)
    with watch.stage("network"):
        scores = class_scores(prepared, one, session, list(places_ras), earlier, watch)
    with watch.stage("names"):
        names, decoder = [label.name for label in labels], one.decoder
        if not decoder.arches:
            return _one_by_one(scores, names, decoder.threshold)
        return names_along_arches(scores, names, places_ras, decoder.arches, decoder.threshold)


def _one_by_one(scores: Floats, names: Sequence[str], threshold: float) -> list[ArchName]:
    """Each object's likeliest label by `scores` [n, labels]; of several with the same the surest keeps it."""
    sure, best = scores.max(axis=1), scores.argmax(axis=1)
    keeper = {int(best[n]): int(n) for n in sure.argsort(kind="stable")}
    return [
        ArchName(names[label], float(score)) if score >= threshold and keeper[int(label)] == n
        else ArchName(None, float(score), (f"name unsure: {names[label]}",))
        for n, (label, score) in enumerate(zip(best, sure, strict=True))
    ]


def _implants_flagged(
    names: Sequence[ArchName], teeth: Objects, volume: Volume, arches: Sequence[Arch]
) -> list[ArchName]:
    """The names of teeth, those that stand on metal flagged."""
    arch_of = {name: n for n, arch in enumerate(arches) for place in arch.places for name in place}
    jaws = [arch_of.get(name.label) if name.label else None for name in names]
    implants = on_implants(volume, teeth.voxel_places(), jaws)
    return [
        replace(name, flags=(*name.flags, _IMPLANT)) if implant else name
        for name, implant in zip(names, implants, strict=True)
    ]
