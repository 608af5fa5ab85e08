"""The numbers of boxes in a picture, each beside its box and none over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from medinfer.volume import Floats

from .picture_text import picture_text, text_width

FONT, HEIGHT = 17, 20
_GAP, _SHADOW = 3, 0.6
# How far from its corner a number may give way, in lines.
_ASIDE = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class NumberedBox:
    """words: its number. corners_ras: `[8, 3]`, world RAS mm."""

    words: str
    corners_ras: Floats
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)


def numbers_beside(boxes: Sequence[NumberedBox], pixels: Floats, width: int) -> list[Any]:
    """Actors for the numbers of `boxes`. pixels: `[n, 8, 2]`, where their corners are in a square picture of `width`
    pixels, x and y from its lower left corner; boxes whose middle lies outside of it get none."""
    if not len(boxes):
        return []
    inside = ((pixels.mean(axis=1) >= 0) & (pixels.mean(axis=1) <= width)).all(axis=1)
    kept = [box for box, here in zip(boxes, inside, strict=True) if here]
    rectangles = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)[inside]
    sizes = np.array([(text_width(box.words, FONT) + 4, HEIGHT) for box in kept]).reshape(-1, 2)
    return [
        picture_text(box.words, x, y, "left", "bottom", FONT, box.color, _SHADOW)
        for box, (x, y) in zip(kept, places_beside(rectangles, sizes, width), strict=True)
    ]


def places_beside(rectangles: Floats, sizes: Floats, width: float) -> Floats:
    """Where labels of `sizes` (`[n, 2]`) stand: `[n, 2]`, their lower left corners.

    rectangles: `[n, 4]`, x and y of the lower left and the upper right corner of what they belong to. The first ones
    choose first: a corner of their own, or farther off, where no label and no other rectangle is; if there is none,
    where no label is; else the upper right corner.
    """
    taken: list[Floats] = []
    for number, (own, size) in enumerate(zip(rectangles, sizes, strict=True)):
        places = [_rectangle(own, size, right, above, aside) for aside, (right, above) in product(
            _ASIDE, product((True, False), (True, False)))]
        fitting = [place for place in places if place[:2].min() >= 0 and place[2:].max() <= width] or places
        free = [place for place in fitting if not _meets(place, taken)]
        others = np.delete(rectangles, number, axis=0)
        best = next((place for place in free if not _meets(place, others)), (free or fitting)[0])
        taken.append(best)
    return np.array(taken).reshape(-1, 4)[:, :2]


def _rectangle(own: Floats, size: Floats, right: bool, above: bool, aside: int) -> Floats:
    x = own[2] + _GAP if right else own[0] - _GAP - size[0]
    y = own[3] - size[1] + aside * size[1] if above else own[1] - aside * size[1]
    return np.array([x, y, x + size[0], y + size[1]])


def _meets(place: Floats, others: Sequence[Floats] | Floats) -> bool:
    return any(
        place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3] for other in others
    )
