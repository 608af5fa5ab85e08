"""The images of one patient that a model looks at together."""

from __future__ import annotations

from pydantic import Field

from .fields import Strict


class Image(Strict):
    """One image. The first of a model's is the scan that it is run on; the others are given besides."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}$", description="Short name, as on the command line (T2)."
    )
    title: str = Field(default="", description="Its name for the user; empty: the short one.")
    modality: tuple[str, ...] = Field(
        default=(), description="DICOM modalities of a further image (PT); empty: any. Those of the scan stand in "
        "prepare.modality."
    )
