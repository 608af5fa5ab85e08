"""Points of a picture and their names, each at the end of a thin line, none over another.

Slicer draws points too, but it puts names on the bone, leaves them out beside a slice, and there it shows all points
in one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.findings import Vector
from medinfer.volume import Floats

from .picture_text import picture_text

FONT, LINE_HEIGHT = 17, 20
DOT, GAP = 9, 8
BADGE_SHADOW = 0.65


@dataclass(frozen=True)
class NamedPoint:
    """A point (world RAS mm), what stands beside it, and in which colours."""

    words: str
    position_ras: Vector
    dot_color: tuple[float, float, float]
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)


def named_dots(points: Sequence[NamedPoint], pixels: Floats, reach: float, hollow: NDArray[np.bool_]) -> list[Any]:
    """Actors for `points`: a dot each (a ring where `hollow`, `[n]`), a line, and at its end the name.

    pixels: where the points are in the picture, `[n, 2]`, x and y from the lower left corner. reach: how many pixels to
    the right of its point a name stands (to the left where negative). Names are kept a line apart: where points are
    nearer to each other, the lower names move down.
    """
    actors, above = [], np.inf
    side = np.sign(reach)
    for number in np.argsort(-pixels[:, 1], kind="stable"):
        point, (x, y) = points[number], pixels[number]
        above = min(y, above - LINE_HEIGHT)
        actors.append(_dot(x, y, point.dot_color, filled=not hollow[number]))
        actors.append(_line((x + side * GAP, y), (x + reach - side * GAP, above), point.color))
        across = "left" if reach > 0 else "right"
        actors.append(picture_text(point.words, x + reach, above, across, "middle", FONT, point.color))
    return actors


def named_badges(points: Sequence[NamedPoint], pixels: Floats) -> list[Any]:
    """Actors for the names of `points`, each right on its place (`pixels`, `[n, 2]`) and dark behind."""
    return [
        picture_text(f" {point.words} ", x, y, "center", "middle", FONT, point.color, BADGE_SHADOW)
        for point, (x, y) in zip(points, pixels, strict=True)
    ]


def _dot(x: float, y: float, color: tuple[float, float, float], *, filled: bool) -> Any:
    import vtk

    source = vtk.vtkGlyphSource2D()
    source.SetGlyphTypeToCircle()
    source.SetResolution(24)
    source.SetFilled(filled)
    source.SetScale(DOT)
    source.SetCenter(x, y, 0.0)
    actor = _flat(source, color)
    actor.GetProperty().SetLineWidth(2)
    return actor


def _line(start: tuple[float, float], end: tuple[float, float], color: tuple[float, float, float]) -> Any:
    import vtk

    source = vtk.vtkLineSource()
    source.SetPoint1(*start, 0.0)
    source.SetPoint2(*end, 0.0)
    actor = _flat(source, color)
    actor.GetProperty().SetOpacity(0.6)
    return actor


def _flat(source: Any, color: tuple[float, float, float]) -> Any:
    """What `source` makes, in pixels of the picture."""
    import vtk

    # A glyph brings colours of its own.
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.ScalarVisibilityOff()
    mapper.SetInputConnection(source.GetOutputPort())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*color)
    return actor
