"""From the scan to the network's grid: intensity steps and regions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .fields import Name, PassName, Strict, Triple

Axes = Literal["zyx", "xyz", "zxy", "yzx", "yxz", "xzy"]


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
    """Subtract the mean and divide by the standard deviation of the prepared voxels."""

    op: Literal["zscore"]


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


IntensityStep = Annotated[Clip | Scale | ZScore | Percentiles, Field(discriminator="op")]


class WholeRegion(Strict):
    """The whole scan."""

    kind: Literal["whole"]


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


Region = Annotated[WholeRegion | BodyRegion | LungsRegion | FoundRegion, Field(discriminator="kind")]


class Prepare(Strict):
    """From the scan to the network's grid, in this order: reorient, region, resample, intensity."""

    modality: tuple[str, ...] = Field(default=("CT",), min_length=1, description="DICOM modalities it was made for.")
    hounsfield: bool = Field(
        default=True, description="For CT: values must be Hounsfield units; false accepts any grey values."
    )
    orientation: str = Field(
        default="LPS", description="Directions of the i, j and k axes: one letter from each of L/R, A/P and S/I."
    )
    axes: Axes = Field(
        default="zyx",
        description="The order of the axes of the network's inputs and outputs, slowest first; x is i, y is j, z is k. "
        "zyx: as arrays of SimpleITK and nnU-Net have it; xyz: as those of nibabel and MONAI.",
    )
    spacing: Triple | None = Field(default=None, description="Millimetres along k, j, i; null keeps the scan's own.")
    antialias: bool = Field(
        default=False, description="If the spacing is coarser than the scan's: average before sampling."
    )
    region: Region = Field(default=WholeRegion(kind="whole"), description="The part of the scan to search.")
    intensity: tuple[IntensityStep, ...] = Field(default=(), description="Steps on the values, in this order.")
    minimum_mm: Triple = Field(default=(10, 10, 10), description="A smaller scan is refused.")

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, value: str) -> str:
        axes = [{"L", "R"}, {"A", "P"}, {"S", "I"}]
        if len(value) != 3 or any(sum(letter in axis for letter in value) != 1 for axis in axes):
            raise ValueError("must be three letters, one from each of L/R, A/P and S/I, e.g. LPS")
        return value
