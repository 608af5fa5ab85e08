"""The lines under the Run button and under the results: what happens, what came of it, or what hinders."""

from __future__ import annotations

import re
from typing import Any

from slicer.i18n import tr as _

# Readable on the light and on the dark theme.
_COLORS = {"": "", "error": "color: #d64541;", "done": "color: #3a9d5d;"}
# Where a path may be broken (by a space of no width), so that it does not widen the dock.
_LONG_WORD = re.compile(r"[^\s/\\_-]{24}|[^\s/\\_-]*[/\\_-](?=\S)")


class MessageLine:
    """Shows the latest news until they are cleared, and else what stands in the way of a run."""

    def __init__(self, label: Any) -> None:
        self._label = label
        self._news: tuple[str, str] | None = None
        self._hindrance = ""
        self._show()

    def say(self, text: str, kind: str = "") -> None:
        """News; kind: "" for a remark, "error", or "done"."""
        self._news = (text, kind)
        self._show()

    def clear(self) -> None:
        """The news are old: the user went on to something else."""
        self._news = None
        self._show()

    def hindered_by(self, text: str) -> None:
        """Why Run is not to be had; empty where it is."""
        self._hindrance = text
        self._show()

    def _show(self) -> None:
        """Without a text the line takes no room."""
        text, kind = self._news or (self._hindrance, "")
        self._label.setText(_LONG_WORD.sub("\\g<0>\u200b", text))
        self._label.setStyleSheet(_COLORS[kind])
        self._label.setVisible(bool(text))


def with_time_left(stage: str, seconds: float | None) -> str:
    """What is being done, and how long it will still take where that is known: no more exactly than it is."""
    if seconds is None:
        return stage
    left = f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
    return _("{stage} – about {left} left").format(stage=stage, left=left)
