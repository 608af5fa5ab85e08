"""The contents of `model.json`: a list of passes, and which of their findings are the result."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, model_validator

from .agreement import contradictions
from .card import Card, Label
from .decoding import AnchorsDecoder
from .fields import Name, Strict
from .images import Image
from .passes import Pass
from .result import Result, Task

SCHEMA_VERSION = 2

class Manifest(Strict):
    """The contents of `model.json`."""

    schema_version: int = Field(description=f"Version of this format; this MedInfer reads up to {SCHEMA_VERSION}.")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9\-]{1,63}$", description="Name in the library and on the command line.")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Version of the model.")
    title: str = Field(min_length=1, description="Name shown to the user.")
    task: Task = Field(description="Which module runs it.")
    card: Card = Field(description="What a user must know before trusting it.")
    images: tuple[Image, ...] = Field(
        default=(), description="The images of one patient that it looks at, where they are several; the first is the "
        "scan, on whose voxels the result lies."
    )
    labels: tuple[Label, ...] = Field(min_length=1, description="The classes of findings, of all passes.")
    unnamed: Name = Field(default="object", description="Name of findings without a label.")
    passes: tuple[Pass, ...] = Field(
        min_length=1, description="In running order; each pass may use the findings of earlier ones."
    )
    result: tuple[Result, ...] = Field(
        min_length=1, description="The passes whose findings form the result, and the kind they are given as."
    )

    def pass_named(self, name: str) -> Pass:
        """The pass of that name. Raises KeyError."""
        return {one.name: one for one in self.passes}[name]

    def labels_of(self, one: Pass) -> tuple[Label, ...]:
        """The labels that a pass tells apart, in the order of its channels."""
        if one.labels is None:
            return self.labels
        known = {label.name: label for label in self.labels}
        return tuple(known[name] for name in one.labels)

    def data(self) -> dict[str, Any]:
        """As JSON has it, without what is as by default: to be changed and parsed again."""
        found: dict[str, Any] = json.loads(self.model_dump_json(by_alias=True, exclude_defaults=True))
        return found

    @property
    def leading(self) -> Pass:
        """The pass that finds what the result begins with: its threshold is the one that a user may change."""
        one = self.pass_named(self.result[0].of)
        while one.finds is None and one.looks_at is not None:
            one = self.pass_named(one.looks_at)
        return one

    @property
    def floor(self) -> float | None:
        """The score down to which a run keeps candidates beside its findings; None where it keeps none.

        Only boxes that stand alone, each with a score of its own, are the same whatever the threshold: boxes around
        what lies above it would grow and run together below.
        """
        first, decoder = self.result[0], self.leading.decoder
        alone = first.kind == "boxes" and first.of == self.leading.name and isinstance(decoder, AnchorsDecoder)
        return decoder.floor if alone and isinstance(decoder, AnchorsDecoder) else None

    @model_validator(mode="after")
    def _agrees(self) -> Manifest:
        found = contradictions(self)
        if found:
            raise ValueError("; ".join(problem.sentence for problem in found))
        return self


def json_schema() -> str:
    """The schema as JSON Schema (draft 2020-12), as published in `model.schema.json`."""
    schema = Manifest.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "MedInfer model.json"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
