"""Consistency of a model's parts: passes with each other, with the labels, and with the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .card import Label
from .images import Image
from .passes import CONVERTS, Kind, Pass
from .result import Result, Task

_SHOWS: dict[Task, Kind] = {"detect": "boxes", "landmark": "points", "segment": "objects"}
# A label map has one byte per voxel.
_HIGHEST_VALUE = 255


@dataclass(frozen=True)
class Contradiction:
    """field: its path in `model.json` ("passes.1.network.channels"). wrong: what is wrong with it, as half a sentence
    that begins with a verb."""

    field: str
    wrong: str

    @property
    def sentence(self) -> str:
        return f"{self.field} {self.wrong}"


class Parts(Protocol):
    """What is compared: a `Manifest`, or as much of one as is valid by itself."""

    @property
    def task(self) -> Task: ...
    @property
    def images(self) -> tuple[Image, ...]: ...
    @property
    def labels(self) -> tuple[Label, ...]: ...
    @property
    def unnamed(self) -> str: ...
    @property
    def passes(self) -> tuple[Pass, ...]: ...
    @property
    def result(self) -> tuple[Result, ...]: ...


def contradictions(parts: Parts) -> list[Contradiction]:
    """All contradictions, in the order of the file."""
    return [
        *_image_problems(parts),
        *_label_problems(parts),
        *(problem for at, one in enumerate(parts.passes) for problem in _PassCheck(parts, at, one).problems()),
        *_result_problems(parts),
    ]


def _image_problems(parts: Parts) -> Iterator[Contradiction]:
    names = [image.name for image in parts.images]
    if len(set(names)) != len(names):
        yield Contradiction("images", "must have distinct names")
    used = set()
    for at, one in enumerate(parts.passes):
        region, first = one.prepare.region, names[0] if names else ""
        others = {entry.image or first for entry in one.network.images} - {first}
        if region.kind == "lungs" and region.clean and others:
            wrong = "is true, but it paints the scan alone, and the pass looks at other images"
            yield Contradiction(f"passes.{at}.prepare.region.clean", wrong)
        for n, entry in enumerate(one.network.inputs):
            if entry.role != "image":
                continue
            used.add(entry.image or first)
            if entry.image and entry.image not in names:
                field = f"passes.{at}.network.inputs.{n}.image"
                yield Contradiction(field, f"is {entry.image!r}, which is not one of images")
    for name in names:
        if name not in used:
            yield Contradiction("images", f"has {name!r}, which no pass looks at")


def _label_problems(parts: Parts) -> Iterator[Contradiction]:
    names, values = [label.name for label in parts.labels], [label.value for label in parts.labels]
    if len(set(names)) != len(names) or len(set(values)) != len(values):
        yield Contradiction("labels", "must have distinct values and names")
    if parts.unnamed in names:
        yield Contradiction("unnamed", f"is {parts.unnamed!r}, which is one of the labels")


class _PassCheck:
    """One pass beside the earlier ones and the labels."""

    def __init__(self, parts: Parts, at: int, one: Pass) -> None:
        self._one, self._at, self._place = one, at, f"passes.{at}"
        self._names = [other.name for other in parts.passes]
        self._earlier = {other.name: other for other in parts.passes[:at]}
        self._known = {label.name: label for label in parts.labels}

    def problems(self) -> Iterator[Contradiction]:
        one = self._one
        if one.name in self._earlier:
            yield self._wrong("name", f"is {one.name!r}, the name of an earlier pass")
        yield from self._listed("labels", one.labels or (), self._known, "which is not one of the model's labels")
        yield from self._region_problems()
        yield from self._input_problems()
        yield from self._channel_problems()
        if one.decoder.kind == "classes":
            yield from self._arch_problems()
        if one.decoder.kind in ("labels", "segments"):
            told = dict.fromkeys(self._labels(one))
            yield from self._listed("decoder.order", one.decoder.order, told, "which is not one of the pass's labels")
        if one.decoder.kind == "heatmap" and one.tiling.join == "patches":
            yield from self._patch_problems()

    def _wrong(self, field: str, wrong: str) -> Contradiction:
        return Contradiction(f"{self._place}.{field}", wrong)

    def _listed(
        self, field: str, names: Sequence[str], known: Mapping[str, object], why: str
    ) -> Iterator[Contradiction]:
        for n, name in enumerate(names):
            if name not in known:
                yield self._wrong(field, f"has {name!r}, {why}")
            elif name in names[:n]:
                yield self._wrong(field, f"has {name!r} twice")

    def _reference(self, field: str, name: str) -> Iterator[Contradiction]:
        if name in self._earlier:
            return
        if name == self._one.name:
            yield self._wrong(field, f"is {name!r}, the pass itself; name an earlier one")
        elif name in self._names:
            yield self._wrong(field, f"is {name!r}, a later pass; name an earlier one")
        else:
            yield self._wrong(field, f"is {name!r}, which is not a pass; name an earlier one")

    def _region_problems(self) -> Iterator[Contradiction]:
        region = self._one.prepare.region
        if region.kind == "found":
            yield from self._reference("prepare.region.of", region.of)
            yield from self._told_by("prepare.region.labels", region.of, region.labels)

    def _told_by(self, field: str, of: str, labels: Sequence[str]) -> Iterator[Contradiction]:
        if of in self._earlier:
            told = dict.fromkeys(self._labels(self._earlier[of]))
            yield from self._listed(field, labels, told, f"which the pass {of!r} does not give")

    def _labels(self, one: Pass) -> list[str]:
        return list(self._known) if one.labels is None else list(one.labels)

    def _input_problems(self) -> Iterator[Contradiction]:
        for n, entry in enumerate(self._one.network.inputs):
            if entry.role not in ("labels", "landmarks"):
                continue
            field = f"network.inputs.{n}"
            yield from self._reference(f"{field}.of", entry.of)
            yield from self._told_by(f"{field}.labels", entry.of, entry.labels)
            if entry.of not in self._earlier:
                continue
            kind = given_kind(self._earlier[entry.of], self._earlier)
            if entry.role == "labels" and kind != "objects":
                yield self._wrong(f"{field}.of", f"is {entry.of!r}, which gives {kind}; one-hot labels need objects")
            if not entry.labels and not self._labels(self._earlier[entry.of]):
                yield self._wrong(f"{field}.of", f"is {entry.of!r}, which gives no labels: its channels would be empty")

    def _channel_problems(self) -> Iterator[Contradiction]:
        one = self._one
        channels, kind, labels = one.network.channels, one.decoder.kind, self._labels(one)
        each_label = one.decoder.kind in ("labels", "segments") and one.decoder.activation == "sigmoid"
        each_label = each_label or (one.decoder.kind == "segments" and one.decoder.overlap)
        if each_label and channels != len(labels):
            yield self._wrong("network.channels", f"is {channels}, but must be {len(labels)}, one per label")
            return
        if kind == "labels" and not each_label and not channels == len(labels) == 1:
            highest = max((self._known[name].value for name in labels if name in self._known), default=1)
            if highest > max(1, channels - 1):
                yield self._wrong("labels", f"include a value ({highest}) beyond the {channels} channels")
        enough = each_label or channels == len(labels) + 1 or channels == len(labels) == 1
        if kind == "segments" and one.tiling.join != "patches" and not enough:
            wanted = f"{len(labels) + 1}, the background first" + (", or 1" if len(labels) == 1 else "")
            yield self._wrong("network.channels", f"is {channels}, but {len(labels)} labels need {wanted}")
        each = kind == "classes" or (kind == "heatmap" and not (one.tiling.join == "patches" and channels == 1))
        unnamed = kind == "heatmap" and channels == 1 and not labels
        if each and not unnamed and channels != len(labels):
            yield self._wrong("network.channels", f"is {channels}, but must be {len(labels)}, one per label")

    def _arch_problems(self) -> Iterator[Contradiction]:
        assert self._one.decoder.kind == "classes"
        names = [name for arch in self._one.decoder.arches for place in arch.places for name in place]
        told = self._labels(self._one)
        for n, name in enumerate(names):
            if name not in told:
                yield self._wrong("decoder.arches", f"has {name!r}, which is not one of the labels")
            elif name in names[:n]:
                yield self._wrong("decoder.arches", f"has {name!r} in two places")

    def _patch_problems(self) -> Iterator[Contradiction]:
        """Where a heatmap says in a patch where a landmark is, it must be known which landmark that is."""
        assert self._one.decoder.kind == "heatmap"
        other = self._earlier.get(self._one.looks_at or "")
        if other is None:
            return
        if set(self._labels(self._one)) - set(self._labels(other)):
            yield self._wrong("prepare.region.of", f"is {other.name!r}, which does not give all labels of this pass")
        many = other.decoder.kind == "heatmap" and other.decoder.peaks > 1
        if self._one.decoder.chain is not None and many:
            yield self._wrong("decoder.chain", f"has one point per label: decoder.peaks of {other.name!r} must be 1")


def given_kind(one: Pass, passes: Mapping[str, Pass]) -> Kind | None:
    """What a pass gives; of one that names, what it names. None where that leads nowhere."""
    if one.gives is not None:
        return one.gives
    if one.finds is not None:
        return one.finds
    named = passes.get(one.looks_at or "")
    return None if named is None or named is one else given_kind(named, passes)


def _named_twice_or_unknown(parts: Parts, one: Pass, n: int, entry: Result) -> Iterator[Contradiction]:
    told = [label.name for label in parts.labels] if one.labels is None else list(one.labels)
    for at, name in enumerate(entry.labels):
        if name not in told:
            yield Contradiction(f"result.{n}.labels", f"has {name!r}, which the pass {entry.of!r} does not give")
        elif name in entry.labels[:at]:
            yield Contradiction(f"result.{n}.labels", f"has {name!r} twice")


def _result_problems(parts: Parts) -> Iterator[Contradiction]:
    passes = {one.name: one for one in parts.passes}
    shown = _SHOWS[parts.task]
    for n, entry in enumerate(parts.result):
        if entry.of not in passes:
            yield Contradiction(f"result.{n}.of", f"is {entry.of!r}, which is not a pass; name one of the passes")
            continue
        yield from _named_twice_or_unknown(parts, passes[entry.of], n, entry)
        if entry.measure is not None and entry.kind != "boxes":
            wrong = f"is {entry.measure}, but {entry.kind} have no box to measure in"
            yield Contradiction(f"result.{n}.measure", wrong)
        kind = given_kind(passes[entry.of], passes)
        if entry.kind != shown:
            yield Contradiction(f"result.{n}.as", f"is {entry.kind}, but task {parts.task} shows {shown}")
        elif kind is not None and entry.kind not in CONVERTS[kind]:
            yield Contradiction(f"result.{n}.as", f"is {entry.kind}, but the pass {entry.of!r} gives {kind}")
    extra = sum(
        one.decoder.max_findings for one in parts.passes if one.decoder.kind == "instances"
    ) if shown == "objects" else 0
    if shown == "objects" and max((label.value for label in parts.labels), default=0) + extra > _HIGHEST_VALUE:
        yield Contradiction("labels", "and decoder.max_findings together must stay below 256 (a label map)")
