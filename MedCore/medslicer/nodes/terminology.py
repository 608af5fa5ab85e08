"""Coded meanings of findings: terminology entries in Slicer's format, stored on a node.

An entry is `context~category~type~modifier~regionContext~region~regionModifier`, each code as
`scheme^value^meaning` (Slicer's vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# The contexts that Slicer brings along, by name; the terminology selector looks codes up in them.
TYPE_CONTEXT = "Segmentation category and type - DICOM master list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
NO_CODE = "^^"


class Code(Protocol):
    """A coded concept, e.g. SCT 27925004 "Nodule" (a package's `medinfer.manifest.Code`)."""

    @property
    def scheme(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def meaning(self) -> str: ...


class Terminology(Protocol):
    """Category, type and, where it has one, region of a finding (`medinfer.manifest.Terminology`)."""

    @property
    def category(self) -> Code: ...
    @property
    def type(self) -> Code: ...
    @property
    def region(self) -> Code | None: ...


def terminology_entry(terminology: Terminology) -> str:
    """`terminology` in the form that Slicer stores."""
    region = terminology.region
    return "~".join([
        TYPE_CONTEXT,
        _code(terminology.category),
        _code(terminology.type),
        NO_CODE,
        REGION_CONTEXT if region else "",
        _code(region) if region else NO_CODE,
        NO_CODE,
    ])


@dataclass(frozen=True)
class CommonTerminology:
    """A terminology shared by several findings."""

    category: Code
    type: Code
    region: Code | None = None


def common_terminology(terminologies: Sequence[Terminology | None]) -> Terminology | None:
    """One entry for a node that shows findings of all `terminologies`: what holds for each of them, or None.

    The type is the one that all share; else the region that all lie in, as the structure they are parts of.
    """
    known = [entry for entry in terminologies if entry is not None]
    if not known or len(known) < len(terminologies):
        return None
    category, kind, region = (
        _shared([getattr(entry, part) for entry in known]) for part in ("category", "type", "region")
    )
    what = kind or region
    if category is None or what is None:
        return None
    return CommonTerminology(category, what, region if kind else None)


def _shared(codes: Sequence[Code | None]) -> Code | None:
    return codes[0] if all(code == codes[0] for code in codes) else None


def set_terminology(node: Any, terminology: Terminology) -> None:
    """Keep `terminology` on `node`, where Slicer's subject hierarchy looks for it.

    It is a node attribute: it lives in the scene and in `.mrml` and `.mrb`, not in `.mrk.json`.
    """
    node.SetAttribute(terminology_attribute(), terminology_entry(terminology))


def terminology_attribute() -> str:
    """The attribute's name; Slicer renamed it once (to "Terminologies.TerminologyEntry")."""
    import slicer

    logic: Any = getattr(slicer, "vtkSlicerTerminologiesModuleLogic", None)
    if hasattr(logic, "GetTerminologyEntryAttributeName"):
        return str(logic.GetTerminologyEntryAttributeName())
    return "TerminologyEntry"


def _code(code: Code) -> str:
    """`scheme^value^meaning`; the two separators cannot be part of a meaning."""
    return "^".join(part.replace("^", " ").replace("~", " ") for part in (code.scheme, code.value, code.meaning))
