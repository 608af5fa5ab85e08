"""What all parts of `model.json` are made of: unknown fields are errors, a misspelt one must not be ignored."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Triple = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Size = tuple[PositiveInt, PositiveInt, PositiveInt]
NonNegative = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# One line without quotation marks: Slicer's tables are saved as text, in which those would end a cell.
Name = Annotated[str, Field(min_length=1, pattern=r'^[^"\x00-\x1f\x7f]+$')]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
