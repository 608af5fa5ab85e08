"""Text in a picture, in pixels from its lower left corner."""

from __future__ import annotations

from typing import Any

FONT, LINE = 20, 28
MARGIN, _GAP = 14, 24
# Where no text renderer is there to measure: about the widest letters of the font.
_LETTER = 0.62


def picture_text(
    words: str, x: float, y: float, across: str, along: str,
    size: int = FONT, color: tuple[float, float, float] = (1.0, 1.0, 1.0), shadow: float = 0.45,
) -> Any:
    """Text on a soft shadow, so that it reads on bone and on air; shadow: its opacity.

    across: which part of it stands at `x` ("left", "center", "right"); along: at `y` ("top", "middle", "bottom").
    """
    import vtk

    actor = vtk.vtkTextActor()
    actor.SetInput(words)
    actor.SetPosition(x, y)
    style = actor.GetTextProperty()
    style.SetFontSize(size)
    style.SetColor(*color)
    style.SetBackgroundColor(0.0, 0.0, 0.0)
    style.SetBackgroundOpacity(shadow)
    {"left": style.SetJustificationToLeft, "right": style.SetJustificationToRight,
     "center": style.SetJustificationToCentered}[across]()
    {"top": style.SetVerticalJustificationToTop, "middle": style.SetVerticalJustificationToCentered,
     "bottom": style.SetVerticalJustificationToBottom}[along]()
    return actor


def titles(left: str, right: str, width: float, top: float) -> tuple[list[Any], int]:
    """`left` and `right` in the upper corners of a picture `width` pixels wide, and how many lines they take.

    On one line where both fit beside each other, else `right` below; what is too wide for the picture is broken.
    """
    lines = broken(left, width - 2 * MARGIN)
    beside = len(lines) == 1 and text_width(left) + text_width(right) + _GAP <= width - 2 * MARGIN
    rows = [*lines] if beside else [*lines, right]
    actors = [picture_text(words, MARGIN, top - n * LINE, "left", "top") for n, words in enumerate(lines)]
    actors.append(picture_text(right, width - MARGIN, top - (len(rows) - 1) * LINE, "right", "top"))
    return actors, len(rows)


def broken(words: str, width: float) -> list[str]:
    """`words` in lines no wider than `width` pixels, broken at spaces."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def text_width(words: str, size: int = FONT) -> float:
    """In pixels, as `picture_text` draws it."""
    import vtk

    style, box = vtk.vtkTextProperty(), [0, 0, 0, 0]
    style.SetFontSize(size)
    renderer = vtk.vtkTextRenderer.GetInstance()
    if not words or renderer is None or not renderer.GetBoundingBox(style, words, box, 72):
        return len(words) * size * _LETTER
    return float(box[1] - box[0] + 1)
