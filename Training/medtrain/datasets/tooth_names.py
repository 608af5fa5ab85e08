"""Names of teeth: FDI numbers (ISO 3950) and, from them, Universal and anatomical names, codes, groups, colours.

An FDI number is a quadrant and a place. Quadrants run clockwise as the dentist sees the patient: 1 upper right,
2 upper left, 3 lower left, 4 lower right; 5 to 8 are the same ones of the deciduous teeth. Places run from the midline
backwards: 1 to 8, or 1 to 5 in deciduous teeth. Right and left are the patient's.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import Any, Literal

ToothType = Literal["incisor", "canine", "premolar", "molar"]
Arch = tuple[tuple[str, ...], ...]

PERMANENT: tuple[int, ...] = tuple(10 * quadrant + place for quadrant in range(1, 5) for place in range(1, 9))
DECIDUOUS: tuple[int, ...] = tuple(10 * quadrant + place for quadrant in range(5, 9) for place in range(1, 6))
FDI: tuple[int, ...] = PERMANENT + DECIDUOUS
"""All 52 numbers, in rising order: the order of the naming network's classes."""

NAMES: tuple[str, ...] = tuple(str(number) for number in FDI)
"""The same as label names."""

# From the midline backwards.
_PLACES = {
    "permanent": (
        "central incisor", "lateral incisor", "canine", "first premolar", "second premolar", "first molar",
        "second molar", "third molar",
    ),
    "deciduous": ("central incisor", "lateral incisor", "canine", "first molar", "second molar"),
}
_TYPES: tuple[ToothType, ...] = ("incisor", "canine", "premolar", "molar")
_QUADRANTS = ("Upper right", "Upper left", "Lower left", "Lower right")

COLORS: dict[ToothType, tuple[float, float, float]] = {
    "incisor": (0.98, 0.86, 0.45),
    "canine": (0.95, 0.60, 0.27),
    "premolar": (0.44, 0.76, 0.55),
    "molar": (0.38, 0.60, 0.90),
}
"""RGB by type of permanent teeth; deciduous ones are half way from there to white. Red is for what is flagged."""


def is_deciduous(number: int) -> bool:
    """Whether an FDI number is that of a deciduous tooth. Raises ValueError for any other number."""
    if number not in FDI:
        raise ValueError(f"{number} is not an FDI number: those run from 11 to 48 and from 51 to 85")
    return number in DECIDUOUS


def quadrant(number: int) -> int:
    """1 upper right, 2 upper left, 3 lower left, 4 lower right, for deciduous teeth as well."""
    return number // 10 - (4 if is_deciduous(number) else 0)


def is_upper(number: int) -> bool:
    """Whether the tooth belongs to the maxilla."""
    return quadrant(number) <= 2


def group(number: int) -> str:
    """The quadrant in words: "Upper right"."""
    return _QUADRANTS[quadrant(number) - 1]


def mirrored(number: int) -> int:
    """The number on the other side of the same jaw: 11 <-> 21, 48 <-> 38, 55 <-> 65."""
    other = {1: 2, 2: 1, 3: 4, 4: 3}[quadrant(number)] + (4 if is_deciduous(number) else 0)
    return 10 * other + number % 10


def tooth_type(number: int) -> ToothType:
    """The type of the tooth. There are no deciduous premolars."""
    word = _place(number).split()[-1]
    return next(kind for kind in _TYPES if kind == word)


def universal(number: int) -> str:
    """The American number: 1 to 32 from the upper right third molar round to the lower right one; A to T likewise."""
    milk = is_deciduous(number)
    size = 5 if milk else 8
    place = number % 10
    # Quadrants 1 and 3 are counted towards the midline, 2 and 4 away from it.
    step = size - place if quadrant(number) % 2 else place - 1
    order = (quadrant(number) - 1) * size + step
    return chr(ord("A") + order) if milk else str(order + 1)


def anatomical(number: int) -> str:
    """The name in words, all in one form: "Permanent maxillary right central incisor tooth"."""
    dentition = "Deciduous" if is_deciduous(number) else "Permanent"
    jaw = "maxillary" if is_upper(number) else "mandibular"
    side = "right" if quadrant(number) in (1, 4) else "left"
    return f"{dentition} {jaw} {side} {_place(number)} tooth"


def color(number: int) -> tuple[float, float, float]:
    """RGB, each 0…1, by the tooth's type."""
    red, green, blue = COLORS[tooth_type(number)]
    if is_deciduous(number):
        red, green, blue = ((value + 1) / 2 for value in (red, green, blue))
    return round(red, 3), round(green, 3), round(blue, 3)


@cache
def codes() -> dict[int, dict[str, str]]:
    """The SNOMED CT concept of each tooth by FDI number, as `scheme`, `value`, `meaning`.

    From DICOM PS3.16, context groups 4018 (permanent) and 4019 (deciduous); meanings are printed as they are there.
    """
    table = resources.files(__package__ or "medtrain").joinpath("fdi_sct_cid4018_4019.csv")
    return {
        int(row["FDI"]): {"scheme": row["CodingScheme"], "value": row["CodeValue"], "meaning": row["CodeMeaning"]}
        for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    }


def arches() -> tuple[Arch, Arch]:
    """The upper and the lower arch: label names of each place from the patient's right to left, alternatives together.

    A deciduous tooth stands at the place of the permanent one that follows it: 55 at that of 15.
    """
    return _arch(1, 2), _arch(4, 3)


def manifest_labels() -> list[dict[str, Any]]:
    """All 52 teeth as `labels` of a model.json."""
    category = {"scheme": "SCT", "value": "123037004", "meaning": "Anatomical Structure"}
    return [
        {
            "value": number,
            "name": str(number),
            "color": list(color(number)),
            "group": group(number),
            "names": {"FDI": str(number), "Universal": universal(number), "anatomical": anatomical(number)},
            "terminology": {"category": category, "type": codes()[number]},
        }
        for number in FDI
    ]


def _place(number: int) -> str:
    return _PLACES["deciduous" if is_deciduous(number) else "permanent"][number % 10 - 1]


def _arch(right: int, left: int) -> Arch:
    def alternatives(side: int, place: int) -> tuple[str, ...]:
        numbers = (10 * side + place, 10 * (side + 4) + place)
        return tuple(str(number) for number in numbers if number in FDI)

    return (
        *(alternatives(right, place) for place in range(8, 0, -1)),
        *(alternatives(left, place) for place in range(1, 9)),
    )
