"""How a scan is cut into tiles for the network, and how the results are joined."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from .fields import NonNegative, Size, Strict

Pad = Annotated[
    float | Literal["edge", "reflect"],
    Field(description="Value outside the scan, as the network sees it; or “edge”, the nearest voxel's; or “reflect”, "
          "those inside, mirrored at the outermost voxel."),
]


class CropTiling(Strict):
    """Tiles whose margin is discarded: each keeps its valid core."""

    join: Literal["crop"]
    patch: Size = Field(description="Network input size in voxels along k, j, i, margins included.")
    margin: tuple[NonNegative, NonNegative, NonNegative] = Field(
        description="Voxels discarded on both sides of each axis."
    )
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    multiple: PositiveInt = Field(default=1, description="Patch edges must be a multiple of this.")
    fit: bool = Field(default=False, description="The network accepts any size: patches may shrink to fit the scan.")
    border: Literal["inside", "padded"] = Field(
        default="inside",
        description="inside: outer tiles end at the scan's border, as for one tile of the whole scan; "
        "padded: the scan is surrounded by margins (grt123; networks that return the core alone).",
    )
    pad: Pad = "edge"

    @model_validator(mode="after")
    def _sizes_agree(self) -> CropTiling:
        for patch, margin in zip(self.patch, self.margin, strict=True):
            if patch <= 2 * margin:
                raise ValueError(f"patch {self.patch} leaves no voxels between the margins {self.margin}")
            if patch % self.multiple or patch % self.stride or margin % self.stride:
                raise ValueError("patch must be a multiple of `multiple` and of `stride`, and margin of `stride`")
        return self


class BlendTiling(Strict):
    """Overlapping tiles, whose weighted mean counts."""

    join: Literal["blend"]
    patch: Size = Field(description="Network input size in voxels along k, j, i.")
    overlap: float = Field(default=0.5, ge=0, lt=1, description="Fraction of a patch that overlaps the next one.")
    weights: Literal["gaussian", "nnunet", "constant"] = Field(
        default="gaussian",
        description="How much a tile's voxels count: by MONAI's Gaussian, by nnU-Net's, or all alike.",
    )
    spread: Literal["even", "last"] = Field(
        default="even",
        description="Where tiles lie. even: equally far from each other, overlapping at least so much (nnU-Net). last: "
        "one after the other with that overlap, and the last one moved back to the scan's end (MONAI).",
    )
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    pad: Pad = "edge"


class SlabTiling(Strict):
    """A window of slices that gives one of them, whole in-plane, moved slice by slice."""

    join: Literal["slabs"]
    window: PositiveInt = Field(description="Number of input slices.")
    position: NonNegative = Field(description="Index in the window of the output slice.")
    multiple: PositiveInt = Field(default=1, description="In-plane sizes are padded to a multiple of this.")
    pad: Pad = "edge"

    @model_validator(mode="after")
    def _inside(self) -> SlabTiling:
        if self.position >= self.window:
            raise ValueError("position must be smaller than window")
        return self


class PatchTiling(Strict):
    """One patch around each point that another stage found, its middle voxel on that point; nothing is joined."""

    join: Literal["patches"]
    patch: Size = Field(description="Network input size in voxels along k, j, i.")
    stride: PositiveInt = Field(default=1, description="Input voxels per output voxel.")
    pad: Pad = "edge"


Tiling = Annotated[CropTiling | BlendTiling | SlabTiling | PatchTiling, Field(discriminator="join")]
