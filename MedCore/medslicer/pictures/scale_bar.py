"""How long a millimetre is in a picture: a bar on a dark ground with its length, which shows on bone as on air."""

from __future__ import annotations

from typing import Any

from .picture_text import FONT, MARGIN, picture_text, text_width

BARS_MM = (200, 100, 50, 20, 10, 5, 2, 1)
# Of the picture's width, at most.
_SHARE = 0.25
# In letters of the text: how thick the bar is, how high its ends, and what is left free around and beside it.
_HEIGHT, _TICK, _PAD, _GAP = 0.2, 0.6, 0.35, 0.5
_GROUND = 0.6


def scale_bar(width: float, pixels_a_mm: float, left: float = 0.0, bottom: float = 0.0, font: int = FONT) -> list[Any]:
    """Actors for a bar at the lower edge of a picture `width` pixels wide, in its middle; left, bottom: its corner."""
    length_mm = next((bar for bar in BARS_MM if bar * pixels_a_mm <= width * _SHARE), BARS_MM[-1])
    length, words = length_mm * pixels_a_mm, f"{length_mm} mm"
    height, tick, pad, gap = (share * font for share in (_HEIGHT, _TICK, _PAD, _GAP))
    whole = length + gap + text_width(words, font)
    x, y = left + (width - whole) / 2, bottom + MARGIN * font / FONT + font / 2
    white, black = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    return [
        _box(x - pad, y - font / 2 - pad, whole + 2 * pad, font + 2 * pad, black, _GROUND),
        _box(x, y - height / 2, length, height, white),
        _box(x, y - tick / 2, height / 2, tick, white),
        _box(x + length - height / 2, y - tick / 2, height / 2, tick, white),
        picture_text(words, x + length + gap, y, "left", "middle", font, white, 0.0),
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
