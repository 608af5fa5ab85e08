"""`model.json`: everything a run needs to know about a network, and what its user must know.

The classes below are the schema; `python -m medinfer.manifest` prints it as JSON Schema, and the copy beside this
file (`model.schema.json`) is published for editors. Unknown fields are errors: a misspelt field must not be ignored.
Sizes and positions are given along k, j, i (slowest axis first) of the scan after it was brought to `orientation`.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

SCHEMA_VERSION = 1

Task = Literal["detect", "landmark"]

Triple = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Size = tuple[PositiveInt, PositiveInt, PositiveInt]
NonNegative = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Code(_Strict):
    """A coded concept, e.g. SCT 27925004 "Nodule"."""

    scheme: str = Field(description="Coding scheme designator, e.g. SCT.")
    value: str = Field(description="Code value in that scheme.")
    meaning: str = Field(description="Its meaning in words.")


class Terminology(_Strict):
    """What a finding is called in Slicer's terminology selector and in DICOM."""

    category: Code = Field(description="e.g. SCT 49755003, morphologically abnormal structure.")
    type: Code = Field(description="e.g. SCT 27925004, nodule.")
    region: Code | None = Field(default=None, description="Anatomical region the finding lies in.")


class Label(_Strict):
    """One class of findings."""

    value: PositiveInt = Field(description="Its value in a label map; 1 for a network with one class.")
    name: str = Field(min_length=1, description="Name shown to the user.")
    color: tuple[float, float, float] = Field(default=(0.9, 0.6, 0.1), description="RGB, each 0…1.")
    terminology: Terminology | None = Field(default=None, description="Its codes, where there are any.")


class Figure(_Strict):
    """One measured figure: what, how much, on what data, and the command that prints it."""

    what: str = Field(description="What was measured, e.g. CPM.")
    value: str = Field(description="The figure, with its unit.")
    data: str = Field(description="On which data.")
    command: str | None = Field(default=None, description="The command of this repository that prints it.")


class Card(_Strict):
    """What a user must know before trusting the model."""

    summary: str = Field(description="One sentence: what it finds in what.")
    intended_use: str = Field(description="Who may use it for what.")
    limits: str = Field(description="Where it fails or was never tried; “not for clinical use” where that holds.")
    training_data: str = Field(description="What it was trained on, with licence and source.")
    measured: tuple[Figure, ...] = Field(default=(), description="Measured figures, honest ones.")
    licence: str = Field(description="SPDX id of the weights' licence.")
    authors: str = Field(description="Who trained it.")
    citation: str = Field(default="", description="What to cite.")
    homepage: str = Field(default="", description="Its public home.")


class Clip(_Strict):
    """Limit values to [low, high]."""

    op: Literal["clip"]
    low: float = Field(description="Values below become this.")
    high: float = Field(description="Values above become this.")

    @model_validator(mode="after")
    def _ordered(self) -> Clip:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Scale(_Strict):
    """value → (value − subtract) / divide."""

    op: Literal["scale"]
    subtract: float = Field(description="Taken off first.")
    divide: float = Field(description="Then divided by this.")

    @field_validator("divide")
    @classmethod
    def _not_zero(cls, value: float) -> float:
        if value == 0:
            raise ValueError("divide must not be 0")
        return value


class ZScore(_Strict):
    """Subtract the mean and divide by the standard deviation of the prepared voxels."""

    op: Literal["zscore"]


IntensityStep = Annotated[Clip | Scale | ZScore, Field(discriminator="op")]


class WholeRegion(_Strict):
    """The whole scan."""

    kind: Literal["whole"]


class BodyRegion(_Strict):
    """The box around the patient's body (voxels above −500 HU, largest component)."""

    kind: Literal["body"]
    margin_mm: float = Field(default=0, ge=0, description="Added around that box.")


class LungsRegion(_Strict):
    """The box around the lungs; with `clean`, everything else is painted over first (grt123's preparation)."""

    kind: Literal["lungs"]
    margin_mm: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = Field(
        default=(5, 10), description="Added before and behind the lungs' box on each axis."
    )
    clean: bool = Field(default=False, description="Paint what lies outside the dilated lungs, and bone in the rim.")


class PointsRegion(_Strict):
    """The box around the points that the coarse stage found."""

    kind: Literal["points"]
    margin_mm: float = Field(default=0, ge=0, description="Added around that box.")


Region = Annotated[WholeRegion | BodyRegion | LungsRegion | PointsRegion, Field(discriminator="kind")]


class Prepare(_Strict):
    """From the scan to the network's grid, in this order: reorient, region, resample, intensity."""

    modality: tuple[str, ...] = Field(default=("CT",), min_length=1, description="DICOM modalities it was made for.")
    orientation: str = Field(
        default="LPS", description="Where the i, j and k axes point, as three letters out of L/R, A/P, S/I."
    )
    spacing: Triple | None = Field(default=None, description="Millimetres along k, j, i; null keeps the scan's own.")
    antialias: bool = Field(
        default=False, description="Where the spacing is coarser than the scan's: average before sampling."
    )
    region: Region = Field(default=WholeRegion(kind="whole"), description="The part of the scan to look at.")
    intensity: tuple[IntensityStep, ...] = Field(default=(), description="Steps on the values, in this order.")
    minimum_mm: Triple = Field(default=(10, 10, 10), description="A scan that covers less is refused.")

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, value: str) -> str:
        axes = [{"L", "R"}, {"A", "P"}, {"S", "I"}]
        if len(value) != 3 or any(sum(letter in axis for letter in value) != 1 for axis in axes):
            raise ValueError("must be three letters, one each out of L/R, A/P and S/I, e.g. LPS")
        return value


class File(_Strict):
    """A network file inside the package's folder. Several formats of the same network may stand side by side."""

    path: str = Field(description="Relative to the folder of model.json.")
    format: Literal["onnx", "torchscript", "pt2"] = Field(description="Which runtimes can read it.")
    sha256: Sha256 = Field(description="Lower-case hexadecimal digest; the file is refused where it differs.")

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*", value):
            raise ValueError("must be a relative path inside the package, of letters, digits, '.', '_' and '-'")
        return value


class ImageInput(_Strict):
    """The tile itself, [batch, 1, k, j, i]."""

    role: Literal["image"]
    name: str = Field(description="The input's name in the network file.")


class CoordinatesInput(_Strict):
    """Where the tile lies: [batch, 3, k, j, i] on the output stride, −0.5…0.5 along k, j, i of the prepared region."""

    role: Literal["coordinates"]
    name: str = Field(description="The input's name in the network file.")


class PointInput(_Strict):
    """A Gaussian of height 1 at the coarse stage's point, [batch, 1, k, j, i]; only with `patches`."""

    role: Literal["point"]
    name: str = Field(description="The input's name in the network file.")
    sigma: PositiveFloat = Field(default=2.0, description="Its standard deviation in voxels.")


NetworkInput = Annotated[ImageInput | CoordinatesInput | PointInput, Field(discriminator="role")]


class Network(_Strict):
    """The weights and what goes in and out of them, by name."""

    files: tuple[File, ...] = Field(min_length=1, description="The network, in one or several formats.")
    inputs: tuple[NetworkInput, ...] = Field(min_length=1, description="What goes in, by name.")
    output: str = Field(description="Name of the output that the decoder reads.")
    channels: PositiveInt = Field(default=1, description="Channels of that output (classes, or anchors × 5).")
    layout: Literal["channels_first", "channels_last"] = Field(
        default="channels_first",
        description="Output [batch, channels, k, j, i], or [batch, k, j, i, …] with one or more channel axes behind.",
    )

    @field_validator("inputs")
    @classmethod
    def _one_image(cls, value: tuple[NetworkInput, ...]) -> tuple[NetworkInput, ...]:
        if sum(entry.role == "image" for entry in value) != 1:
            raise ValueError("exactly one input must have the role image")
        return value


Pad = Annotated[
    float | Literal["edge"],
    Field(description="Value outside the scan, as the network sees it; or “edge”, the nearest voxel's."),
]


class CropTiling(_Strict):
    """Tiles whose margin is thrown away: each keeps its valid core."""

    join: Literal["crop"]
    patch: Size = Field(description="Voxels along k, j, i that go into the network at once, margins included.")
    margin: tuple[NonNegative, NonNegative, NonNegative] = Field(description="Dropped on both sides of each axis.")
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    multiple: PositiveInt = Field(default=1, description="Patch edges must be a multiple of this.")
    fit: bool = Field(default=False, description="The network takes any size: patches may shrink to fit the scan.")
    border: Literal["inside", "padded"] = Field(
        default="inside",
        description="inside: outer tiles end at the scan's border, as the whole scan at once would; "
        "padded: the scan is surrounded by margins (grt123; networks that return the core alone).",
    )
    pad: Pad = "edge"

    @model_validator(mode="after")
    def _sizes_agree(self) -> CropTiling:
        for patch, margin in zip(self.patch, self.margin, strict=True):
            if patch <= 2 * margin:
                raise ValueError(f"patch {self.patch} leaves nothing between margins {self.margin}")
            if patch % self.multiple or patch % self.stride or margin % self.stride:
                raise ValueError("patch must be a multiple of `multiple` and of `stride`, and margin of `stride`")
        return self


class BlendTiling(_Strict):
    """Overlapping tiles, weighted by a Gaussian."""

    join: Literal["blend"]
    patch: Size = Field(description="Voxels along k, j, i that go into the network at once.")
    overlap: float = Field(default=0.5, ge=0, lt=1, description="Share of a patch that it has in common with the next.")
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    pad: Pad = "edge"


class SlabTiling(_Strict):
    """A window of slices that gives one of them, whole in-plane, moved slice by slice."""

    join: Literal["slabs"]
    window: PositiveInt = Field(description="Slices that go in.")
    position: NonNegative = Field(description="Index in the window of the slice that comes out.")
    multiple: PositiveInt = Field(default=1, description="In-plane sizes are padded to a multiple of this.")
    pad: Pad = "edge"

    @model_validator(mode="after")
    def _inside(self) -> SlabTiling:
        if self.position >= self.window:
            raise ValueError("position must be smaller than window")
        return self


class PatchTiling(_Strict):
    """One patch around each point of the coarse stage, its middle voxel on that point; nothing is joined."""

    join: Literal["patches"]
    patch: Size = Field(description="Voxels along k, j, i that go into the network at once.")
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    pad: Pad = "edge"


Tiling = Annotated[CropTiling | BlendTiling | SlabTiling | PatchTiling, Field(discriminator="join")]


class AnchorsDecoder(_Strict):
    """grt123's grid: per anchor [logit, dk, dj, di, log d]; cubes after non-maximum suppression."""

    kind: Literal["anchors"]
    anchors: tuple[PositiveFloat, ...] = Field(min_length=1, description="Edges in voxels of the network's grid.")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="Findings below this score are not reported.")
    nms_iou: float = Field(default=0.05, gt=0, le=1, description="Of two cubes that overlap so much the better stays.")
    max_findings: PositiveInt = Field(default=100, description="At most so many a scan.")
    diameter_scale: PositiveFloat = Field(default=1.0, description="Reported diameter = this × the cube's edge.")


class LabelsDecoder(_Strict):
    """Threshold (one channel) or arg-max (several), connected components, a box around each."""

    kind: Literal["labels"]
    threshold: float = Field(default=0.5, gt=0, lt=1, description="For one channel, on the output as it is (0…1).")
    min_voxels: PositiveInt = Field(default=1, description="Smaller components are dropped (network's grid).")
    connectivity: Literal[6, 18, 26] = Field(default=26, description="Neighbours a voxel has.")
    max_findings: PositiveInt = Field(default=100, description="At most so many a scan.")


class Chain(_Strict):
    """The landmarks lie along a line in the order of the labels, as the vertebrae do, head first."""

    spacing_mm: tuple[PositiveFloat, PositiveFloat] = Field(
        description="Smallest and largest distance between a landmark and the next."
    )
    regularity: float | None = Field(
        default=None, gt=1, description="A step this many times shorter or longer than those around it is flagged."
    )
    upside_down: bool = Field(
        default=False,
        description="The stage looks at the scan turned upside down too; where it is surer there, the user is told.",
    )

    @field_validator("spacing_mm")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the smallest distance must be below the largest")
        return value


class HeatmapDecoder(_Strict):
    """A heatmap a landmark: its place is the maximum, refined below the voxel, or the expectation (DSNT)."""

    kind: Literal["heatmap"]
    position: Literal["argmax", "expectation"] = Field(
        default="argmax", description="argmax: the refined maximum; expectation: the mean place, with its deviation."
    )
    activation: Literal["none", "softmax"] = Field(
        default="none", description="softmax: over all voxels of a channel, before anything else."
    )
    threshold: float = Field(default=0.5, gt=0, lt=1, description="Confidence below which a landmark is missing.")
    peak: PositiveFloat = Field(
        default=1.0, description="Height of the heatmap at a certain landmark: confidence = height / peak, at most 1."
    )
    peaks: PositiveInt = Field(default=1, description="Most points a channel: 1 for one landmark a label.")
    separation_mm: PositiveFloat = Field(
        default=10.0, description="Of two peaks of a channel that lie nearer than this the higher counts."
    )
    chain: Chain | None = Field(default=None, description="How the landmarks follow each other, where they do.")

    @model_validator(mode="after")
    def _go_together(self) -> HeatmapDecoder:
        if self.position == "expectation" and self.peaks > 1:
            raise ValueError("position expectation gives one point a channel: peaks must be 1")
        if self.activation == "softmax" and self.position != "expectation":
            raise ValueError("activation softmax goes with position expectation")
        if self.chain is not None and self.peaks > 1:
            raise ValueError("a chain has one point a label: peaks must be 1")
        return self


Decoder = Annotated[AnchorsDecoder | LabelsDecoder | HeatmapDecoder, Field(discriminator="kind")]


class Stage(_Strict):
    """One pass of a network over a scan."""

    prepare: Prepare = Field(description="From the scan to the network's grid.")
    network: Network = Field(description="The weights.")
    tiling: Tiling = Field(description="How the scan is cut and the results joined.")
    decoder: Decoder = Field(description="From the network's output to findings.")

    @model_validator(mode="after")
    def _stage_agrees(self) -> Stage:
        chain = self.decoder.chain if self.decoder.kind == "heatmap" else None
        if chain is not None and chain.upside_down and (self.needs_points or self.prepare.orientation[2] != "S"):
            raise ValueError("chain.upside_down is for a stage that sees the scan itself with its k axis up (e.g. LPS)")
        if self.decoder.kind == "anchors" and self.network.channels != 5 * len(self.decoder.anchors):
            raise ValueError("network.channels must be 5 × the number of decoder.anchors")
        roles = {entry.role for entry in self.network.inputs}
        if "coordinates" in roles and self.tiling.join != "crop":
            raise ValueError("a coordinates input needs tiling.join = crop")
        if "point" in roles and self.tiling.join != "patches":
            raise ValueError("a point input needs tiling.join = patches")
        if self.tiling.join == "patches" and self.decoder.kind != "heatmap":
            raise ValueError("tiling.join = patches needs decoder.kind = heatmap")
        return self

    @property
    def needs_points(self) -> bool:
        """Whether another stage must have found points before."""
        return self.tiling.join == "patches" or self.prepare.region.kind == "points"


class Manifest(Stage):
    """The contents of `model.json`."""

    schema_version: int = Field(description=f"Version of this format; this MedInfer reads up to {SCHEMA_VERSION}.")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{1,63}$", description="Name in the library and on the command line.")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Version of the model.")
    title: str = Field(min_length=1, description="Name shown to the user.")
    task: Task = Field(description="Which module runs it.")
    card: Card = Field(description="What a user must know before trusting it.")
    labels: tuple[Label, ...] = Field(min_length=1, description="The classes of findings; heatmaps in this order.")
    coarse: Stage | None = Field(
        default=None, description="A first pass at low resolution that finds the points around which this one looks."
    )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The passes in the order in which they run; the last one makes the findings."""
        return (self,) if self.coarse is None else (self.coarse, self)

    @model_validator(mode="after")
    def _parts_agree(self) -> Manifest:
        values = [label.value for label in self.labels]
        names = [label.name for label in self.labels]
        if len(set(values)) != len(values) or len(set(names)) != len(names):
            raise ValueError("labels must have distinct values and names")
        if max(values) > max(1, self.network.channels - 1) and self.decoder.kind == "labels":
            raise ValueError("labels name a value that the network's channels don't reach")
        if (self.task == "landmark") != (self.decoder.kind == "heatmap"):
            raise ValueError("task landmark goes with decoder.kind heatmap, and no other task does")
        if self.needs_points and self.coarse is None:
            raise ValueError("tiling.join = patches and prepare.region = points need a coarse stage")
        if self.coarse is not None and (self.coarse.needs_points or self.coarse.decoder.kind != "heatmap"):
            raise ValueError("coarse must have a heatmap decoder and see the scan itself, not points")
        for name, stage in (("coarse.", self.coarse), ("", self)):
            if stage is not None:
                _check_heatmaps(name, stage, len(self.labels))
        return self


def _check_heatmaps(name: str, stage: Stage, labels: int) -> None:
    """Each heatmap belongs to one label. Raises ValueError."""
    if stage.decoder.kind != "heatmap" or (stage.tiling.join == "patches" and stage.network.channels == 1):
        return
    if stage.network.channels != labels:
        raise ValueError(
            f"{name}network.channels is {stage.network.channels}, but there are {labels} labels, a heatmap each"
        )


def json_schema() -> str:
    """The schema as JSON Schema (draft 2020-12), as published in `model.schema.json`."""
    schema = Manifest.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "MedInfer model.json"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
