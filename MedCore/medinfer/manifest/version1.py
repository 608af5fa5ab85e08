"""Version 1 of `model.json`, as packages of 2026 have it: one main stage, and around it `coarse`, `naming`, `besides`.

It is read and turned into passes; nothing else of MedInfer knows it, and it does not grow any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .card import Card, Label
from .decoding import Arch, Decoder
from .fields import Name, Strict
from .model import Manifest
from .network import CoordinatesInput, ImageInput, Network, PointInput
from .preparation import BodyRegion, LungsRegion, Prepare, WholeRegion
from .result import Task
from .tilings import Tiling

# What a task's last pass may end with.
_DECODERS: dict[Task, tuple[str, ...]] = {
    "detect": ("anchors", "labels"),
    "landmark": ("heatmap", "classes"),
    "segment": ("instances", "segments"),
}


class PointsRegion(Strict):
    """The box around the points that the coarse stage found."""

    kind: Literal["points"]
    margin_mm: float = Field(default=0, ge=0, description="Added around that box.")


RegionOne = Annotated[WholeRegion | BodyRegion | LungsRegion | PointsRegion, Field(discriminator="kind")]


class PrepareOne(Prepare):
    """As in version 2, but for the region of points."""

    region: RegionOne = Field(  # type: ignore[assignment]
        default=WholeRegion(kind="whole"), description="The part of the scan to look at."
    )


class NetworkOne(Network):
    """As in version 2, but for inputs from other passes."""

    inputs: tuple[
        Annotated[ImageInput | CoordinatesInput | PointInput, Field(discriminator="role")], ...
    ] = Field(min_length=1, description="What goes in, by name.")


class Stage(Strict):
    """One pass of a network over a scan."""

    prepare: PrepareOne = Field(description="From the scan to the network's grid.")
    network: NetworkOne = Field(description="The weights.")
    tiling: Tiling = Field(description="How the scan is cut and the results joined.")
    decoder: Decoder = Field(description="From the network's output to findings.")

    @model_validator(mode="after")
    def _stage_agrees(self) -> Stage:
        decoder, channels = self.decoder, self.network.channels
        chain = decoder.chain if decoder.kind == "heatmap" else None
        up = self.prepare.orientation is not None and self.prepare.orientation[2] == "S"
        if chain is not None and chain.upside_down and (self.needs_points or not up):
            raise ValueError("chain.upside_down needs a stage that sees the scan itself with its k axis up (e.g. LPS)")
        if decoder.kind == "anchors" and channels != 5 * len(decoder.anchors):
            raise ValueError("network.channels must be 5 × the number of decoder.anchors")
        if decoder.kind == "instances" and channels != 4:
            raise ValueError("decoder.kind = instances needs network.channels = 4: foreground and three offsets")
        roles = {entry.role for entry in self.network.inputs}
        if "coordinates" in roles and self.tiling.join != "crop":
            raise ValueError("a coordinates input needs tiling.join = crop")
        if "point" in roles and self.tiling.join != "patches":
            raise ValueError("a point input needs tiling.join = patches")
        if self.tiling.join == "patches" and decoder.kind not in ("heatmap", "classes"):
            raise ValueError("tiling.join = patches needs decoder.kind = heatmap or classes")
        if decoder.kind == "classes" and self.tiling.join != "patches":
            raise ValueError("decoder.kind = classes needs tiling.join = patches")
        return self

    @property
    def needs_points(self) -> bool:
        """Whether another stage must have found points before."""
        return self.tiling.join == "patches" or self.prepare.region.kind == "points"


class Companion(Stage):
    """A further pass that finds other things in the same scan (the nerve's canal beside the teeth)."""

    labels: tuple[Label, ...] = Field(min_length=1, description="What it finds.")


class ManifestOne(Stage):
    """The contents of a `model.json` of version 1."""

    schema_version: int = Field(description="1.")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{1,63}$", description="Name in the library and on the command line.")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Version of the model.")
    title: str = Field(min_length=1, description="Name shown to the user.")
    task: Task = Field(description="Which module runs it.")
    card: Card = Field(description="What a user must know before trusting it.")
    labels: tuple[Label, ...] = Field(
        min_length=1, description="The classes of findings; heatmaps and class scores in this order."
    )
    coarse: Stage | None = Field(
        default=None, description="A first pass at low resolution that finds the points around which this one looks."
    )
    naming: Stage | None = Field(
        default=None, description="A pass over a patch around each object found, which says which of the labels it is."
    )
    unnamed: Name = Field(default="object", description="What an object is called that got no label.")
    besides: tuple[Companion, ...] = Field(default=(), description="Further passes that find other things as well.")

    @property
    def stages(self) -> dict[str, Stage]:
        """The passes by name, in the order in which they run; `main` is this one."""
        passes = {"coarse": self.coarse, "main": self, "naming": self.naming}
        return {
            **{name: stage for name, stage in passes.items() if stage is not None},
            **{f"besides {n}": stage for n, stage in enumerate(self.besides, start=1)},
        }

    @property
    def all_labels(self) -> tuple[Label, ...]:
        """The labels of this stage and of the companions."""
        return (*self.labels, *(label for stage in self.besides for label in stage.labels))

    @model_validator(mode="after")
    def _parts_agree(self) -> ManifestOne:
        labels = self.all_labels
        values, names = {label.value for label in labels}, {label.name for label in labels}
        if len(values) != len(labels) or len(names) != len(labels):
            raise ValueError("labels must have distinct values and names")
        if self.decoder.kind not in _DECODERS[self.task]:
            kinds = " or ".join(_DECODERS[self.task])
            raise ValueError(f"task {self.task} needs decoder.kind {kinds}")
        if self.needs_points and self.coarse is None:
            raise ValueError("tiling.join = patches and prepare.region = points need a coarse stage")
        if self.coarse is not None and (self.coarse.needs_points or self.coarse.decoder.kind != "heatmap"):
            raise ValueError("coarse must have a heatmap decoder and see the scan itself, not points")
        self._points_agree()
        self._objects_agree()
        for place, stage in (("coarse.", self.coarse), ("", self), ("naming.", self.naming)):
            if stage is not None:
                _check_channels(place, stage, self.labels, self)
        for n, companion in enumerate(self.besides):
            _check_channels(f"besides.{n}.", companion, companion.labels, self)
        return self

    def _points_agree(self) -> None:
        """Where a heatmap stage looks at a patch around each point, it must know which landmark that is. Raises
        ValueError."""
        if self.coarse is None or self.coarse.decoder.kind != "heatmap":
            return
        if self.decoder.kind != "heatmap" or self.tiling.join != "patches":
            return
        if self.coarse.network.channels == 1 < len(self.labels):
            raise ValueError("decoder.kind = heatmap with tiling.join = patches needs one channel per label of coarse")
        if self.decoder.chain is not None and self.coarse.decoder.peaks > 1:
            raise ValueError("decoder.chain has one point per label: coarse.decoder.peaks must be 1")

    def _objects_agree(self) -> None:
        """What goes with objects alone. Raises ValueError."""
        if self.naming is not None and (self.naming.decoder.kind != "classes" or self.decoder.kind != "instances"):
            raise ValueError("naming needs decoder.kind classes and a stage of decoder.kind instances")
        if self.besides and self.task != "segment":
            raise ValueError("besides needs task segment")
        for stage in self.besides:
            if stage.decoder.kind != "segments":
                raise ValueError("besides needs decoder.kind = segments")
            if stage.needs_points and self.coarse is None:
                raise ValueError("besides with prepare.region = points needs a coarse stage")
        extra = self.decoder.max_findings if self.decoder.kind == "instances" else 0
        if self.task == "segment" and max(label.value for label in self.all_labels) + extra > 255:
            raise ValueError("the labels' values and decoder.max_findings together must stay below 256 (a label map)")


def _check_channels(place: str, stage: Stage, labels: tuple[Label, ...], manifest: ManifestOne) -> None:
    """A stage's channels belong to labels. place: its path in `model.json`. Raises ValueError."""
    channels, kind = stage.network.channels, stage.decoder.kind
    if kind == "labels" and max(label.value for label in labels) > max(1, channels - 1):
        raise ValueError("labels include a value beyond the network's channels")
    enough = channels == len(labels) + 1 or channels == len(labels) == 1
    if kind == "segments" and not enough:
        wanted = f"{len(labels) + 1}, the background first" + (", or 1" if len(labels) == 1 else "")
        raise ValueError(f"{place}network.channels is {channels}, but {len(labels)} labels need {wanted}")
    if stage.decoder.kind == "classes":
        _check_arches(place, stage.decoder.arches, [label.name for label in labels])
    each = kind == "classes" or (kind == "heatmap" and not (stage.tiling.join == "patches" and channels == 1))
    points_alone = kind == "heatmap" and channels == 1 and _many_peaks(stage) and stage is manifest.coarse
    if each and not points_alone and channels != len(labels):
        raise ValueError(f"{place}network.channels is {channels}, but must be {len(labels)}, one per label")


def _check_arches(place: str, arches: tuple[Arch, ...], names: Sequence[str]) -> None:
    """Arches are of the labels, each in one place. place: the stage's path in `model.json`. Raises ValueError."""
    used = [name for arch in arches for alternatives in arch.places for name in alternatives]
    for name in used:
        if name not in names:
            raise ValueError(f"{place}decoder.arches has {name!r}, which is not one of the labels")
        if used.count(name) > 1:
            raise ValueError(f"{place}decoder.arches has {name!r} in two places")


def _many_peaks(stage: Stage) -> bool:
    """Whether a heatmap's points are just places, any number of them, and no named landmarks."""
    return stage.decoder.kind == "heatmap" and stage.decoder.peaks > 1


def passes_of(old: ManifestOne) -> Manifest:
    """The same model as a list of passes."""
    parts = old.model_dump(mode="json", exclude_unset=True)
    head = {name: parts[name] for name in ("id", "version", "title", "task", "card", "unnamed") if name in parts}
    labels = [label for stage in (parts, *parts.get("besides", ())) for label in stage["labels"]]
    names = [label.name for label in old.labels]
    passes = [
        _pass(name, stage, _told(name, stage, names, alone=len(labels) == len(names)))
        for name, stage in old.stages.items()
    ]
    answer = "naming" if old.naming is not None else "main"
    of = [answer, *(name for name in old.stages if name.startswith("besides "))]
    kind = {"detect": "boxes", "landmark": "points", "segment": "objects"}[old.task]
    return Manifest.model_validate({
        **head, "schema_version": 2, "labels": labels, "passes": passes,
        "result": [{"of": name, "as": kind} for name in of],
    })


def _told(name: str, stage: Stage, names: list[str], *, alone: bool) -> list[str] | None:
    """Which labels a stage tells apart; None: all of the model."""
    if isinstance(stage, Companion):
        return [label.name for label in stage.labels]
    if stage.decoder.kind == "instances":
        return []
    # A single heatmap for many labels, or the candidates of a naming stage.
    if name == "coarse" and stage.network.channels < len(names):
        return []
    return None if alone else names


def _pass(name: str, stage: Stage, labels: list[str] | None) -> dict[str, Any]:
    parts = stage.model_dump(mode="json", exclude_unset=True)
    prepare = dict(parts["prepare"])
    if stage.prepare.region.kind == "points" or stage.tiling.join == "patches":
        of = "main" if name == "naming" else "coarse"
        prepare["region"] = {**prepare.get("region", {}), "kind": "found", "of": of}
    told = {} if labels is None else {"labels": labels}
    return {
        "name": name, **told, "prepare": prepare,
        **{part: parts[part] for part in ("network", "tiling", "decoder")},
    }
