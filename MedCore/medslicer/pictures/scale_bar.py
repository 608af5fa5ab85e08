"""How long a millimetre is in a picture: a bar on a dark ground with its length, which shows on bone as on air."""

from __future__ import annotations

from typing import Any

from .picture_text import FONT, MARGIN, picture_text, text_width

BARS_MM = (200, 100, 50, 20, 10, 5, 2, 1)
# Of the picture's width, at most.
_SHARE = 0.25
_HEIGHT, _TICK, _PAD, _GAP = 4, 12, 7, 10
_GROUND = 0.6


def scale_bar(width: float, pixels_a_mm: float) -> list[Any]:
    """Actors for a bar at the lower edge of a picture `width` pixels wide, in its middle."""
    length_mm = next((bar for bar in BARS_MM if bar * pixels_a_mm <= width * _SHARE), BARS_MM[-1])
    length, words = length_mm * pixels_a_mm, f"{length_mm} mm"
    whole = length + _GAP + text_width(words)
    x, y = (width - whole) / 2, MARGIN + FONT / 2
    white, black = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    return [
        _box(x - _PAD, y - FONT / 2 - _PAD, whole + 2 * _PAD, FONT + 2 * _PAD, black, _GROUND),
        _box(x, y - _HEIGHT / 2, length, _HEIGHT, white),
        _box(x, y - _TICK / 2, _HEIGHT / 2, _TICK, white),
        _box(x + length - _HEIGHT / 2, y - _TICK / 2, _HEIGHT / 2, _TICK, white),
        picture_text(words, x + length + _GAP, y, "left", "middle", FONT, white, 0.0),
    ]


def _box(
    x: float, y: float, width: float, height: float, color: tuple[float, float, float], opacity: float = 1.0
) -> Any:
    import vtk

    source = vtk.vtkPlaneSource()
    source.SetOrigin(x, y, 0.0)
    source.SetPoint1(x + width, y, 0.0)
    source.SetPoint2(x, y + height, 0.0)
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputConnection(source.GetOutputPort())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*color)
    actor.GetProperty().SetOpacity(opacity)
    return actor
