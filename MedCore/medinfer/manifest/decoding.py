"""From the network's output to findings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from .fields import Name, Strict


class AnchorsDecoder(Strict):
    """grt123's grid: per anchor [logit, dk, dj, di, log d]; cubes after non-maximum suppression."""

    kind: Literal["anchors"]
    anchors: tuple[PositiveFloat, ...] = Field(min_length=1, description="Edges in voxels of the network's grid.")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="Findings below this score are not reported.")
    nms_iou: float = Field(
        default=0.05, gt=0, le=1, description="Of two cubes that overlap at least this much, the better one is kept."
    )
    floor: float = Field(
        default=0.1, gt=0, lt=1, description="Candidates below the threshold are kept beside the findings down to this "
        "score."
    )
    max_findings: PositiveInt = Field(default=100, description="Maximum number per scan, weaker candidates included.")
    diameter_scale: PositiveFloat = Field(default=1.0, description="Reported diameter = this × the cube's edge.")


Activation = Annotated[
    Literal["none", "sigmoid", "softmax"],
    Field(
        description="What turns the network's output into probabilities. none: it returns probabilities (others are an "
        "error). sigmoid: of each channel, for one channel or for overlapping labels, which have no background "
        "channel. softmax: over the channels, the first of which is background."
    ),
]
_THRESHOLD = "For one channel, and for each channel with a sigmoid: its voxels have a higher probability."
_ORDER = (
    "For several channels with a sigmoid: the labels in the order in which they are written; where they overlap, the "
    "last wins. Empty: the pass's own order."
)


class LabelsDecoder(Strict):
    """Threshold (one channel, or a sigmoid each) or arg-max (several), connected components, a box around each."""

    kind: Literal["labels"]
    activation: Activation = "none"
    threshold: float = Field(default=0.5, gt=0, lt=1, description=_THRESHOLD)
    order: tuple[Name, ...] = Field(default=(), description=_ORDER)
    min_voxels: PositiveInt = Field(default=1, description="Smaller components are dropped (network's grid).")
    connectivity: Literal[6, 18, 26] = Field(default=26, description="Neighbours of a voxel.")
    max_findings: PositiveInt = Field(default=100, description="Maximum number per scan.")


class Chain(Strict):
    """The landmarks lie along a line in the order of the labels, as the vertebrae do, head first."""

    spacing_mm: tuple[PositiveFloat, PositiveFloat] = Field(
        description="Smallest and largest distance between consecutive landmarks."
    )
    regularity: float | None = Field(
        default=None, gt=1, description="A distance this many times shorter or longer than those around it is flagged."
    )
    upside_down: bool = Field(
        default=False,
        description="Also search the scan turned upside down, and warn the user where that result is more confident.",
    )

    @field_validator("spacing_mm")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the smallest distance must be below the largest")
        return value


class HeatmapDecoder(Strict):
    """One heatmap per landmark: its place is the maximum, refined below the voxel, or the expectation (DSNT)."""

    kind: Literal["heatmap"]
    position: Literal["argmax", "expectation"] = Field(
        default="argmax", description="argmax: the refined maximum; expectation: the mean position, with its deviation."
    )
    activation: Literal["none", "sigmoid", "softmax"] = Field(
        default="none",
        description="Before any other step. sigmoid: of each voxel; softmax: over all voxels of a channel.",
    )
    threshold: float = Field(default=0.5, gt=0, lt=1, description="A landmark below this confidence counts as missing.")
    peak: PositiveFloat = Field(
        default=1.0, description="Heatmap height that means certainty: confidence = height / peak, at most 1."
    )
    peaks: PositiveInt = Field(
        default=1, description="Maximum number of points per channel: 1 for one landmark per label."
    )
    separation_mm: PositiveFloat = Field(
        default=10.0, description="Of two peaks of a channel closer than this, only the higher counts."
    )
    chain: Chain | None = Field(default=None, description="The order of the landmarks along a line, if they have one.")

    @model_validator(mode="after")
    def _go_together(self) -> HeatmapDecoder:
        if self.position == "expectation" and self.peaks > 1:
            raise ValueError("position expectation gives one point per channel: peaks must be 1")
        if self.activation == "softmax" and self.position != "expectation":
            raise ValueError("activation softmax needs position expectation")
        if self.chain is not None and self.peaks > 1:
            raise ValueError("a chain has one point per label: peaks must be 1")
        return self


class SegmentsDecoder(Strict):
    """Threshold (one channel, or a sigmoid each) or arg-max (several, the first is background): a segment per label."""

    kind: Literal["segments"]
    activation: Activation = "none"
    threshold: float = Field(default=0.5, gt=0, lt=1, description=_THRESHOLD)
    order: tuple[Name, ...] = Field(default=(), description=_ORDER)
    overlap: bool = Field(
        default=False,
        description="Keep each label whole where it overlaps others, those of other passes too; with several channels, "
        "each is a label and none the background. The result is label maps in layers.",
    )
    decide: Literal["network", "logits", "probabilities", "nearest"] = Field(
        default="network",
        description="Where the label of a voxel is decided. network: on the network's grid; borders between its voxels "
        "are interpolated. logits, probabilities: on the scan's own voxels, to which these are interpolated linearly "
        "(nnU-Net: logits; MONAI: probabilities). nearest: on the network's grid, and each voxel of the scan takes the "
        "label of the nearest voxel there (MONAI, where labels are inverted by nearest).",
    )
    largest_component: bool = Field(default=False, description="Keep only the largest component of each label.")
    fill_holes: bool = Field(default=False, description="Fill the holes of each label.")
    min_volume_mm3: float = Field(default=0, ge=0, description="Smaller components of a segment are dropped.")


class InstancesDecoder(Strict):
    """Objects of one kind that touch: foreground, and from each voxel the way to its object's centroid.

    Channels: foreground, then three offsets along k, j, i in voxels of the output.
    """

    kind: Literal["instances"]
    activation: Literal["none", "sigmoid"] = Field(
        default="none", description="Of the foreground. none: the network returns a probability (0…1)."
    )
    threshold: float = Field(
        default=0.3, gt=0, lt=1, description="Objects below this confidence are dropped: the mean of their foreground, "
        "times the share of their voxels that agree on the centroid."
    )
    foreground: float = Field(
        default=0.5, gt=0, lt=1, description="A voxel with at least this value belongs to an object."
    )
    separation_mm: PositiveFloat = Field(
        default=3.0, description="Of two centroids closer than this, only the one with more votes counts."
    )
    min_volume_mm3: float = Field(default=20.0, ge=0, description="Smaller objects are dropped.")
    fill_holes: bool = Field(default=True, description="Fill holes inside objects.")
    max_findings: Annotated[int, Field(gt=0, le=128)] = Field(default=64, description="Maximum number per scan.")


class Arch(Strict):
    """Labels in the order in which they stand along one dental arch."""

    places: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        min_length=1,
        description="From the patient's right to left; labels that may stand at the same place are together "
        "(a deciduous tooth and its successor).",
    )


class ClassesDecoder(Strict):
    """One score per label for the object in the middle of a patch."""

    kind: Literal["classes"]
    activation: Literal["none", "softmax"] = Field(default="none", description="softmax: the network returns logits.")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="Below this confidence a name is uncertain.")
    arches: tuple[Arch, ...] = Field(default=(), description="The order of the objects along arches, if they have one.")


Decoder = Annotated[
    AnchorsDecoder | LabelsDecoder | HeatmapDecoder | SegmentsDecoder | InstancesDecoder | ClassesDecoder,
    Field(discriminator="kind"),
]
