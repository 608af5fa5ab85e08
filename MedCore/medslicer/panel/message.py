"""The lines under the Run button and under the results: progress, the outcome, or what prevents a run."""

from __future__ import annotations

import re
from typing import Any

import qt
from slicer.i18n import tr as _

# On a light and on a dark ground, each with a contrast of at least 4.5 to it.
_COLORS = {"error": ("#b3261e", "#ff8a80"), "done": ("#1c7040", "#7ddc9b")}
_DARK = 128
# Where a path may be broken (by a space of no width), so that it does not widen the dock.
_LONG_WORD = re.compile(r"[^\s/\\_-]{24}|[^\s/\\_-]*[/\\_-](?=\S)")


class MessageLine:
    """Shows the latest message until it is outdated, otherwise what prevents a run."""

    def __init__(self, label: Any) -> None:
        self._label = label
        self._news: tuple[str, str] | None = None
        self._lasting = False
        self._subject = ("", "")
        self._hindrance = ""
        self._show()

    def say(self, text: str, kind: str = "", *, lasting: bool = False) -> None:
        """Show a message; kind: "" for a remark, "error", or "done". lasting: it stays until another scan is shown."""
        self._news, self._lasting = (text, kind), lasting
        self._show()

    def turn_to(self, scan: str, result: str) -> None:
        """From here on the line is about these (IDs of nodes, empty for none): what was said of others goes."""
        if (scan, result) != self._subject:
            self._subject = (scan, result)
            if scan or not self._lasting:
                self.clear()

    def clear(self) -> None:
        """Clear the message when the user has moved on."""
        self._news = None
        self._show()

    def hindered_by(self, text: str) -> None:
        """Set why Run is disabled; empty if it is enabled."""
        self._hindrance = text
        self._show()

    def _show(self) -> None:
        """Without a text the line takes no room."""
        text, kind = self._news or (self._hindrance, "")
        self._label.setText(_LONG_WORD.sub("\\g<0>\u200b", text))
        paint(self._label, kind)
        self._label.setVisible(bool(text))


def paint(label: Any, kind: str) -> None:
    """Give a line the colour of its kind, on a light or a dark ground."""
    label.setProperty("kind", kind)
    style = ""
    if kind in _COLORS:
        on_light, on_dark = _COLORS[kind]
        ground = label.palette.color(qt.QPalette.Window)
        style = f"color: {on_dark if ground.lightness() < _DARK else on_light};"
    label.setStyleSheet(style)


def with_time_left(stage: str, seconds: float | None) -> str:
    """The current stage, with the time left if known, rounded to its accuracy."""
    if seconds is None:
        return stage
    left = f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
    return str(_("{stage} – about {left} left").format(stage=stage, left=left))
