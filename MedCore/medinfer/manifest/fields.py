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

# As steps of the progress are called: one word or a few.
PassName = Annotated[str, Field(pattern=r"^[a-z0-9]+([ _\-][a-z0-9]+)*$", max_length=40)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
