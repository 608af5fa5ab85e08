"""The weights, and their inputs and outputs, by name."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from .fields import Name, PassName, Sha256, Strict
from .preparation import IntensityStep


def is_package_path(path: str) -> bool:
    """Whether it is a relative path inside a package that every system can spell."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*", path) is not None


def _inside(path: str) -> str:
    if not is_package_path(path):
        raise ValueError("must be a relative path inside the package, of letters, digits, '.', '_' and '-'")
    return path


PackagePath = Annotated[str, AfterValidator(_inside)]


class DataFile(Strict):
    """Weights that lie beside an ONNX graph, as `torch.onnx.export` writes them (model.onnx.data)."""

    path: PackagePath = Field(
        description="Relative to the folder of model.json; in the graph's folder, under the name that the graph uses."
    )
    sha256: Sha256 = Field(description="Lower-case hexadecimal digest; a file with another digest is refused.")


class File(Strict):
    """A network file inside the package's folder. Several formats of the same network may stand side by side."""

    path: PackagePath = Field(description="Relative to the folder of model.json.")
    format: Literal["onnx", "torchscript", "pt2"] = Field(description="Which runtimes can read it.")
    sha256: Sha256 = Field(description="Lower-case hexadecimal digest; a file with another digest is refused.")
    locked: bool = Field(
        default=False, description="Encrypted, as are its data: it can be read only with its key (`medinfer lock`)."
    )
    data: tuple[DataFile, ...] = Field(
        default=(), description="Files beside an ONNX graph that contain its weights; one that is not listed here is "
        "never opened."
    )

    @property
    def data_names(self) -> dict[str, DataFile]:
        """The files of weights by their names in the graph, which are relative to the graph's folder."""
        folder = self.path.rpartition("/")[0]
        return {entry.path.removeprefix(f"{folder}/" if folder else ""): entry for entry in self.data}

    @model_validator(mode="after")
    def _data_beside(self) -> File:
        if self.data and self.format != "onnx":
            raise ValueError(f"data are files beside an ONNX graph; a {self.format} file has none")
        folder = self.path.rpartition("/")[0]
        if folder and not all(entry.path.startswith(f"{folder}/") for entry in self.data):
            raise ValueError(f"data must lie in the graph's folder {folder}")
        return self


class ImageInput(Strict):
    """The tile itself, [batch, 1, k, j, i]. Inputs of one name follow each other as channels of one array."""

    role: Literal["image"]
    name: str = Field(description="The input's name in the network file.")
    image: str = Field(default="", description="Which of the model's images; empty: the first, or the scan itself.")
    intensity: tuple[IntensityStep, ...] | None = Field(
        default=None, description="Steps on this image's values; null: those of prepare.intensity."
    )


class CoordinatesInput(Strict):
    """Where the tile lies: [batch, 3, k, j, i] on the output stride, −0.5…0.5 along k, j, i of the prepared region."""

    role: Literal["coordinates"]
    name: str = Field(description="The input's name in the network file.")


class PointInput(Strict):
    """A Gaussian of height 1 at the point that the patch lies around, [batch, 1, k, j, i]; only with `patches`."""

    role: Literal["point"]
    name: str = Field(description="The input's name in the network file.")
    sigma: PositiveFloat = Field(default=2.0, description="Its standard deviation in voxels.")


class LabelsInput(Strict):
    """The objects of an earlier pass, one-hot: [batch, labels, k, j, i], one channel per label, 1 inside, 0 outside."""

    role: Literal["labels"]
    name: str = Field(description="The input's name in the network file.")
    of: PassName = Field(description="The earlier pass whose objects are used.")
    labels: tuple[Name, ...] = Field(
        default=(), description="The labels to use, in this order; empty: all labels of that pass."
    )
    sampling: Literal["nearest", "linear"] = Field(
        default="nearest", description="How they come onto the prepared grid. nearest: by the nearest voxel. linear: a "
        "label is where its interpolated mask is at least a half (nnU-Net's cascades). Needs resampling.align = edges."
    )


class LandmarksInput(Strict):
    """A Gaussian of height 1 at each point of an earlier pass: [batch, labels, k, j, i], one channel per label; 0
    everywhere if the point was not found."""

    role: Literal["landmarks"]
    name: str = Field(description="The input's name in the network file.")
    of: PassName = Field(description="The earlier pass; the point of an object or a box is its centre.")
    labels: tuple[Name, ...] = Field(
        default=(), description="The labels to use, in this order; empty: all labels of that pass."
    )
    sigma: PositiveFloat = Field(default=2.0, description="The Gaussian's standard deviation in voxels.")


NetworkInput = Annotated[
    ImageInput | CoordinatesInput | PointInput | LabelsInput | LandmarksInput, Field(discriminator="role")
]


class Network(Strict):
    """The weights, and their inputs and outputs, by name."""

    files: tuple[File, ...] = Field(min_length=1, description="The network, in one or several formats.")
    inputs: tuple[NetworkInput, ...] = Field(min_length=1, description="The inputs, by name.")
    output: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Name of the output that the decoder reads, or names of several whose channels follow each other."
    )
    channels: PositiveInt = Field(
        default=1, description="Total number of channels of that output (classes, or anchors × 5)."
    )
    further: tuple[Annotated[tuple[File, ...], Field(min_length=1)], ...] = Field(
        default=(),
        description="Further networks with the same inputs and outputs (the folds of a cross-validation), each in one "
        "or several formats: the mean of all outputs counts.",
    )
    mirror: tuple[Literal["k", "j", "i"], ...] = Field(
        default=(),
        description="The network also sees each tile mirrored along every combination of these axes of the scan; the "
        "mean of all outputs counts.",
    )
    dimensions: Literal[2, 3] = Field(
        default=3,
        description="2: the network takes single slices, [batch, channels, y, x] for axes = zyx; the tile has one "
        "voxel along the first of prepare.axes.",
    )
    layout: Literal["channels_first", "channels_last"] = Field(
        default="channels_first",
        description="Output [batch, channels, k, j, i], or [batch, k, j, i, …] with one or more channel axes last.",
    )

    @property
    def members(self) -> tuple[tuple[File, ...], ...]:
        """The networks whose mean counts, each in one or several formats."""
        return (self.files, *self.further)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names in `output`, be it one or several."""
        return (self.output,) if isinstance(self.output, str) else self.output

    @property
    def images(self) -> tuple[ImageInput, ...]:
        """The inputs that are images, in their order."""
        return tuple(entry for entry in self.inputs if isinstance(entry, ImageInput))

    @field_validator("inputs")
    @classmethod
    def _some_image(cls, value: tuple[NetworkInput, ...]) -> tuple[NetworkInput, ...]:
        if not any(entry.role == "image" for entry in value):
            raise ValueError("at least one input must have the role image")
        return value
