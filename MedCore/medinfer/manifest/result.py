"""The findings that form the result."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from .fields import Name, PassName, Strict
from .passes import Kind

Measure = Literal["nodule"]
Task = Literal["detect", "landmark", "segment"]


class Result(Strict):
    """Findings of one pass, as a part of the result."""

    # “as” is a word of Python's own.
    model_config = ConfigDict(populate_by_name=True)

    of: PassName = Field(description="The pass that found them.")
    kind: Kind = Field(
        alias="as",
        description="The kind they are given as: points for task landmark, boxes for detect, objects for segment. An "
        "object's centroid is a point and its box a box; a box's centre is a point.",
    )
    labels: tuple[Name, ...] = Field(default=(), description="Only findings with these labels; empty: all findings.")
    measure: Measure | None = Field(
        default=None, description="How boxes are measured. nodule: as lung nodules in CT, by a segmentation inside "
        "each box: volume, axial diameters, and whether it is solid."
    )
