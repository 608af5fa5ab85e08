"""From the scan to the network's grid: intensity steps and regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from .fields import Name, PassName, Strict, Triple

Axes = Literal["zyx", "xyz", "zxy", "yzx", "yxz", "xzy"]


_KEPT = (None, None, None)


class Clip(Strict):
    """Limit values to [low, high]."""

    op: Literal["clip"]
    low: float = Field(description="Values below become this.")
    high: float = Field(description="Values above become this.")

    @model_validator(mode="after")
    def _ordered(self) -> Clip:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Scale(Strict):
    """value → (value − subtract) / divide."""

    op: Literal["scale"]
    subtract: float = Field(description="Subtracted first.")
    divide: float = Field(description="Divisor, applied second.")

    @field_validator("divide")
    @classmethod
    def _not_zero(cls, value: float) -> float:
        if value == 0:
            raise ValueError("divide must not be 0")
        return value


class ZScore(Strict):
    """Subtract the mean and divide by the standard deviation."""

    op: Literal["zscore"]
    of: Literal["all", "nonzero", "nonzero_alone"] = Field(
        default="all",
        description="The voxels whose mean and deviation count, and which change: all of the region; those that are "
        "not 0, with the holes between them (nnU-Net); or without these (MONAI).",
    )


class Range(Strict):
    """The lowest value becomes 0 and the highest 1."""

    op: Literal["range"]


class Percentiles(Strict):
    """Two percentiles of the whole scan become 0 and 1: for grey values of no known scale (cone-beam CT)."""

    op: Literal["percentiles"]
    low: float = Field(ge=0, lt=100, description="Percentile of the scan's voxels that becomes 0.")
    high: float = Field(gt=0, le=100, description="Percentile that becomes 1.")

    @model_validator(mode="after")
    def _ordered(self) -> Percentiles:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


IntensityStep = Annotated[Clip | Scale | ZScore | Range | Percentiles, Field(discriminator="op")]


class WholeRegion(Strict):
    """The whole scan."""

    kind: Literal["whole"]


class NonzeroRegion(Strict):
    """The box around all voxels that are not 0."""

    kind: Literal["nonzero"]


class PositiveRegion(Strict):
    """The box around all voxels above 0 as the network sees them, in any image (MONAI's CropForegroundd)."""

    kind: Literal["positive"]


class BodyRegion(Strict):
    """The box around the patient's body (voxels above −500 HU, largest component)."""

    kind: Literal["body"]
    margin_mm: float = Field(default=0, ge=0, description="Added around that box.")


class LungsRegion(Strict):
    """The box around the lungs; with `clean`, everything else is painted over first (grt123's preparation)."""

    kind: Literal["lungs"]
    margin_mm: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = Field(
        default=(5, 10), description="Added before and behind the lungs' box on each axis."
    )
    clean: bool = Field(default=False, description="Paint what lies outside the dilated lungs, and bone in the rim.")


class FoundRegion(Strict):
    """The box around what an earlier pass gave: points, boxes or objects. With tiling.join = patches, a patch around
    each of them (of an object, around its centroid)."""

    kind: Literal["found"]
    of: PassName = Field(description="The earlier pass.")
    labels: tuple[Name, ...] = Field(
        default=(), description="Only its findings with these labels; empty: all findings."
    )
    margin_mm: float = Field(default=0, ge=0, description="Added around that box.")


Region = Annotated[
    WholeRegion | NonzeroRegion | PositiveRegion | BodyRegion | LungsRegion | FoundRegion, Field(discriminator="kind")
]


class Resampling(Strict):
    """How a scan is sampled at the network's spacing."""

    align: Literal["first", "monai", "edges"] = Field(
        default="first",
        description="first: the centres of the first voxels lie on each other (ITK). monai: as MONAI's Spacing has it: "
        "the first voxels too, or the middles of oblique scans whose axes are not exactly at right angles, and the "
        "number of voxels is rounded. edges: the outer edges of the region lie on each other, and its number of voxels "
        "is rounded (nnU-Net, scikit-image).",
    )
    rounding: Literal["down", "nearest"] = Field(
        default="down", description="With align = first: of the number of voxels."
    )
    interpolation: Literal["linear", "cubic", "nearest"] = Field(
        default="linear", description="cubic and nearest need align = edges."
    )
    thick: Literal["alike", "nearest"] = Field(
        default="alike",
        description="nearest: an axis with more than 3 times the spacing of the finest one, in the scan or at the "
        "network's spacing, is sampled apart from the others, by nearest voxel (nnU-Net). Needs align = edges.",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Resampling:
        if self.align != "edges" and (self.interpolation, self.thick) != ("linear", "alike"):
            raise ValueError(f"interpolation {self.interpolation} and thick {self.thick} need align = edges")
        return self


class Prepare(Strict):
    """From the scan to the network's grid, in this order: reorient, region, resample, intensity."""

    modality: tuple[str, ...] = Field(default=("CT",), min_length=1, description="DICOM modalities it was made for.")
    hounsfield: bool = Field(
        default=True, description="For CT: values must be Hounsfield units; false accepts any grey values."
    )
    orientation: str | None = Field(
        default="LPS",
        description="Directions of the i, j and k axes: one letter from each of L/R, A/P and S/I; null: the axes as "
        "the scan is stored, wherever they point (nnU-Net).",
    )
    axes: Axes = Field(
        default="zyx",
        description="The order of the axes of the network's inputs and outputs, slowest first; x is i, y is j, z is k. "
        "zyx: as arrays of SimpleITK and nnU-Net have it; xyz: as those of nibabel and MONAI.",
    )
    spacing: tuple[PositiveFloat | None, PositiveFloat | None, PositiveFloat | None] | None = Field(
        default=None, description="Millimetres along k, j, i; null keeps the scan's own, of one axis or of all."
    )
    shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="The region becomes so many voxels along k, j, i, however large it is: for networks "
        "that see all of it stretched to one size. In place of a spacing; needs resampling.align = edges."
    )
    antialias: bool = Field(
        default=False, description="If the spacing is coarser than the scan's: average before sampling."
    )
    resampling: Resampling = Field(default=Resampling(), description="How the scan is sampled at that spacing.")
    region: Region = Field(default=WholeRegion(kind="whole"), description="The part of the scan to search.")
    intensity: tuple[IntensityStep, ...] = Field(default=(), description="Steps on the values, in this order.")
    intensity_on: Literal["prepared", "scan"] = Field(
        default="prepared", description="scan: before they are resampled; with align = edges on the region's voxels, "
        "else on the whole scan's."
    )
    minimum_mm: Triple = Field(default=(10, 10, 10), description="A smaller scan is refused.")

    def spacing_on(self, scan: Sequence[float]) -> tuple[float, float, float]:
        """The network's spacing (mm along k, j, i) on a scan with the spacing `scan`."""
        k, j, i = (own if wanted is None else wanted for wanted, own in zip(self.spacing or _KEPT, scan, strict=True))
        return k, j, i

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, value: str | None) -> str | None:
        if value is None:
            return None
        axes = [{"L", "R"}, {"A", "P"}, {"S", "I"}]
        if len(value) != 3 or any(sum(letter in axis for letter in value) != 1 for axis in axes):
            raise ValueError("must be three letters, one from each of L/R, A/P and S/I, e.g. LPS")
        return value

    @model_validator(mode="after")
    def _edges_where_needed(self) -> Prepare:
        edges = self.resampling.align == "edges"
        if self.shape is not None and (self.spacing is not None or not edges):
            raise ValueError("shape needs resampling.align = edges, and no spacing beside it")
        if self.intensity_on == "scan" and self.region.kind == "lungs":
            raise ValueError("intensity_on = scan does not go with a region of the lungs")
        if edges and (self.antialias or self.region.kind in ("positive", "body", "lungs")):
            raise ValueError(
                "resampling.align = edges goes with neither antialias nor a region of positive values, body or lungs"
            )
        return self
