"""Published sizes of the teeth, and when they form, erupt and are shed.

Sizes in mm after Nelson & Ash, Wheeler's Dental Anatomy, Physiology and Occlusion (9th ed., tables 1-1 and 3-1);
ages in years after Logan & Kronfeld (JADA 1933) as given there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["incisor", "canine", "premolar", "molar"]


@dataclass(frozen=True)
class ToothSize:
    """Heights along the tooth; widths mesiodistal and buccolingual, of the crown and at its neck (mm)."""

    crown: float
    root: float
    width: float
    neck_width: float
    depth: float
    neck_depth: float

    def scaled(self, across: float, along: float, root: float = 1.0) -> ToothSize:
        return ToothSize(
            self.crown * along,
            self.root * along * root,
            *(one * across for one in (self.width, self.neck_width, self.depth, self.neck_depth)),
        )

    def narrowed(self, factor: float) -> ToothSize:
        return replace(self, width=self.width * factor, neck_width=self.neck_width * factor)


# by jaw (True: upper) and place from the midline
PERMANENT: dict[tuple[bool, int], ToothSize] = {
    (True, 1): ToothSize(10.5, 13.0, 8.5, 7.0, 7.0, 6.0),
    (True, 2): ToothSize(9.0, 13.0, 6.5, 5.0, 6.0, 5.0),
    (True, 3): ToothSize(10.0, 17.0, 7.5, 5.5, 8.0, 7.0),
    (True, 4): ToothSize(8.5, 14.0, 7.0, 5.0, 9.0, 8.0),
    (True, 5): ToothSize(8.5, 14.0, 7.0, 5.0, 9.0, 8.0),
    (True, 6): ToothSize(7.5, 12.5, 10.0, 8.0, 11.0, 10.0),
    (True, 7): ToothSize(7.0, 11.5, 9.0, 7.0, 11.0, 10.0),
    (True, 8): ToothSize(6.5, 11.0, 8.5, 6.5, 10.0, 9.5),
    (False, 1): ToothSize(9.0, 12.5, 5.0, 3.5, 6.0, 5.3),
    (False, 2): ToothSize(9.5, 14.0, 5.5, 4.0, 6.5, 5.8),
    (False, 3): ToothSize(11.0, 16.0, 7.0, 5.5, 7.5, 7.0),
    (False, 4): ToothSize(8.5, 14.0, 7.0, 5.0, 7.5, 6.5),
    (False, 5): ToothSize(8.0, 14.5, 7.0, 5.0, 8.0, 7.0),
    (False, 6): ToothSize(7.5, 14.0, 11.0, 9.0, 10.5, 9.0),
    (False, 7): ToothSize(7.0, 13.0, 10.5, 8.0, 10.0, 9.0),
    (False, 8): ToothSize(7.0, 11.0, 10.0, 7.5, 9.5, 9.0),
}
DECIDUOUS: dict[tuple[bool, int], ToothSize] = {
    (True, 1): ToothSize(6.0, 10.0, 6.5, 4.5, 5.0, 4.0),
    (True, 2): ToothSize(5.6, 10.2, 5.1, 3.7, 4.8, 3.7),
    (True, 3): ToothSize(6.5, 12.5, 7.0, 5.1, 7.0, 5.5),
    (True, 4): ToothSize(5.1, 10.0, 7.3, 5.2, 8.5, 6.9),
    (True, 5): ToothSize(5.7, 11.7, 8.2, 6.4, 10.0, 8.3),
    (False, 1): ToothSize(5.0, 9.0, 4.2, 3.0, 4.0, 3.5),
    (False, 2): ToothSize(5.2, 10.0, 4.1, 3.0, 4.0, 3.5),
    (False, 3): ToothSize(6.0, 11.5, 5.0, 3.7, 4.8, 4.0),
    (False, 4): ToothSize(6.0, 9.8, 7.7, 6.5, 7.0, 5.3),
    (False, 5): ToothSize(5.5, 11.3, 9.9, 7.2, 8.7, 6.4),
}


@dataclass(frozen=True)
class Ages:
    """Years: first hard tissue, crown complete, eruption into the mouth, root complete."""

    start: float
    crown: float
    eruption: float
    root: float


PERMANENT_AGES: dict[tuple[bool, int], Ages] = {
    (True, 1): Ages(0.3, 4.5, 7.5, 10),
    (True, 2): Ages(0.9, 4.5, 8.5, 11),
    (True, 3): Ages(0.4, 6.5, 11.5, 14),
    (True, 4): Ages(1.6, 5.5, 10.5, 12.5),
    (True, 5): Ages(2.1, 6.5, 11, 13),
    (True, 6): Ages(0, 2.8, 6.5, 9.5),
    (True, 7): Ages(2.8, 7.5, 12.5, 15),
    (True, 8): Ages(8, 14, 19, 21.5),
    (False, 1): Ages(0.3, 4.5, 6.5, 9),
    (False, 2): Ages(0.3, 4.5, 7.5, 10),
    (False, 3): Ages(0.4, 6.5, 9.5, 13),
    (False, 4): Ages(1.9, 5.5, 11, 12.5),
    (False, 5): Ages(2.3, 6.5, 11.5, 13.5),
    (False, 6): Ages(0, 2.8, 6.5, 9.5),
    (False, 7): Ages(2.8, 7.5, 12, 14.5),
    (False, 8): Ages(9, 14, 19, 21.5),
}
SHED: dict[tuple[bool, int], float] = {  # when a deciduous tooth falls out
    (True, 1): 7.2,
    (True, 2): 8.2,
    (True, 3): 11.2,
    (True, 4): 10.2,
    (True, 5): 10.8,
    (False, 1): 6.3,
    (False, 2): 7.3,
    (False, 3): 9.3,
    (False, 4): 10.6,
    (False, 5): 11.2,
}


def kind_of(number: int) -> Kind:
    """What sort of tooth an FDI number names."""
    place, deciduous = number % 10, number >= 50
    if place <= 2:
        return "incisor"
    if place == 3:
        return "canine"
    return "molar" if deciduous or place >= 6 else "premolar"


def is_upper(number: int) -> bool:
    """Whether an FDI number (no supernumerary) belongs to the upper jaw."""
    return number // 10 in (1, 2, 5, 6)


def fdi(upper: bool, right: bool, place: int, deciduous: bool = False) -> int:
    """The FDI number of the tooth at a place (1..8 from the midline)."""
    quadrant = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[upper, right]
    return 10 * (quadrant + 4 * deciduous) + place
