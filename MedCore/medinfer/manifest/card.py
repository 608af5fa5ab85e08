"""The names of the findings, and the facts that a user needs before trusting the model."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from .fields import Name, Strict


class Code(Strict):
    """A coded concept, e.g. SCT 27925004 "Nodule"."""

    scheme: str = Field(description="Coding scheme designator, e.g. SCT.")
    value: str = Field(description="Code value in that scheme.")
    meaning: str = Field(description="Its meaning in words.")


class Terminology(Strict):
    """What a finding is called in Slicer's terminology selector and in DICOM."""

    category: Code = Field(description="e.g. SCT 49755003, morphologically abnormal structure.")
    type: Code = Field(description="e.g. SCT 27925004, nodule.")
    region: Code | None = Field(default=None, description="Anatomical region of the finding.")


class Label(Strict):
    """One class of findings."""

    value: PositiveInt = Field(description="Its value in a label map; 1 for a network with one class.")
    name: Name = Field(description="Name shown to the user: one line without quotation marks.")
    color: tuple[float, float, float] = Field(default=(0.9, 0.6, 0.1), description="RGB, each 0…1.")
    terminology: Terminology | None = Field(default=None, description="Its codes, if it has any.")
    names: dict[str, Name] = Field(
        default={}, description="Its name in other schemes, by the scheme's name: FDI, Universal, anatomical, …"
    )
    group: str = Field(default="", description="The folder it belongs to in a scene, e.g. “Upper right”.")


class Figure(Strict):
    """One measured figure: what, how much, on what data, and the command that prints it."""

    what: str = Field(description="What was measured, e.g. CPM.")
    value: str = Field(description="The value, with its unit.")
    data: str = Field(description="The data it was measured on.")
    command: str | None = Field(default=None, description="The command in this repository that prints it.")


class Card(Strict):
    """What a user must know before trusting the model."""

    summary: str = Field(description="One sentence: what the model finds, and in which scans.")
    intended_use: str = Field(description="Who may use it, and for what.")
    limits: str = Field(description="Where it fails or is untested; “not for clinical use” where that applies.")
    training_data: str = Field(description="What it was trained on, with licence and source.")
    thickest_mm: PositiveFloat | None = Field(
        default=None,
        description="The largest distance between slices that the model is meant for, mm; thicker ones get a note.",
    )
    window: tuple[float, float] | None = Field(
        default=None,
        description="The values that pictures show as black and white; null: those of a narrow clip, or of the task.",
    )
    measured: tuple[Figure, ...] = Field(default=(), description="Measured figures.")
    licence: str = Field(description="SPDX id of the weights' licence.")
    authors: str = Field(description="Who trained it.")
    citation: str = Field(default="", description="The publication to cite.")
    homepage: str = Field(default="", description="Its public web page.")

    @field_validator("window")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("the first value must be below the second")
        return value
