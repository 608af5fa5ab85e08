"""Text in a picture, in pixels from its lower left corner."""

from __future__ import annotations

from typing import Any

FONT = 20


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
