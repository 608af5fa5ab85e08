"""How a run is reported: a progress bar on a terminal, plain lines otherwise, JSON lines for programs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import IO, Any, Protocol

from ..findings import Box, Findings, distances_to_next, neighbours_together

# Plain lines say at most this often (seconds) how far a stage is.
_PLAIN_EVERY_S = 10.0
# The names of files may hold line ends, and sequences that a terminal obeys.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Console(Protocol):
    """Where a run's news go. A context manager: the bar is taken down at the end."""

    def __enter__(self) -> Console: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def progress(self, scan: str, stage: str, done: int, total: int) -> None: ...
    def say(self, text: str) -> None: ...
    def error(self, scan: str, text: str) -> None: ...
    def event(self, name: str, data: Mapping[str, Any]) -> None: ...


def open_console(*, json_lines: bool, stream: IO[str] | None = None) -> Console:
    """The console that suits `stream` (default: standard output)."""
    out = stream or sys.stdout
    if json_lines:
        return JsonConsole(out)
    # Slicer's Python has no rich; plain lines tell the same.
    return TerminalConsole() if out.isatty() and find_spec("rich") else PlainConsole(out)


class _Quiet:
    def __enter__(self) -> Any:
        return self

    def __exit__(self, *unused: object) -> None:
        return None


class JsonConsole(_Quiet):
    """One JSON object per line: {"event": …}, in ASCII, which every encoding holds. Nothing else reaches the stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def progress(self, scan: str, stage: str, done: int, total: int) -> None:
        self.event("progress", {"scan": scan, "stage": stage, "done": done, "total": total})

    def say(self, text: str) -> None:
        self.event("message", {"text": text})

    def error(self, scan: str, text: str) -> None:
        self.event("error", {"scan": scan, "text": text})

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        print(json.dumps({"event": name, **data}), file=self._stream, flush=True)


class PlainConsole(_Quiet):
    """Lines for a log file: each stage once, then every ten seconds."""

    def __init__(self, stream: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._last: tuple[str, str] = ("", "")
        self._said = 0.0

    def progress(self, scan: str, stage: str, done: int, total: int) -> None:
        now = self._clock()
        if (scan, stage) == self._last and (total == 1 or now - self._said < _PLAIN_EVERY_S):
            return
        self._last, self._said = (scan, stage), now
        share = f" {done}/{total}" if total > 1 else ""
        self.say(f"{scan}: {stage}{share}")

    def say(self, text: str) -> None:
        print(on_one_line(text), file=self._stream, flush=True)

    def error(self, scan: str, text: str) -> None:
        print(f"error: {on_one_line(with_name(scan, text))}", file=sys.stderr, flush=True)

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """Plain readers need no events."""


class TerminalConsole:
    """A bar with the stage, the share done and the time left."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._rich = RichConsole()
        self._bar = Progress(
            TextColumn("{task.fields[scan]}"), BarColumn(),
            TextColumn("{task.fields[stage]} {task.percentage:>3.0f} %"), TimeRemainingColumn(),
            console=self._rich, transient=True,
        )
        self._task = self._bar.add_task("", scan="", stage="", total=1)
        self._stage = ("", "")

    def __enter__(self) -> TerminalConsole:
        self._bar.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._bar.stop()

    def progress(self, scan: str, stage: str, done: int, total: int) -> None:
        if (scan, stage) != self._stage:
            self._stage = (scan, stage)
            self._bar.reset(self._task, total=total, scan=scan, stage=stage)
        self._bar.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        self._rich.print(on_one_line(text), markup=False, highlight=False, soft_wrap=True)

    def error(self, scan: str, text: str) -> None:
        self._rich.print("[red]error:[/red] ", end="")
        self._rich.print(on_one_line(with_name(scan, text)), markup=False, highlight=False, soft_wrap=True)

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """The bar needs no events."""


def on_one_line(text: str) -> str:
    """`text` with an escape (\\n) for each character that cannot be seen."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def with_name(scan: str, text: str) -> str:
    """The sentence on a scan behind the scan's name, where it doesn't begin with it."""
    return text if not scan or text.startswith((f"{scan} ", f"{scan}:")) else f"{scan}: {text}"


def findings_table(findings: Findings) -> list[str]:
    """The findings as aligned lines for a reader."""
    if findings.landmarks:
        return _landmark_lines(findings)
    if findings.segments:
        return _segment_lines(findings)
    weaker = _weaker_lines(findings.candidates)
    if not findings.boxes:
        return ["  nothing found", *weaker]
    lines = [f"  rank  score  diameter  side   {'centre R, A, S (mm)':<22}  measured"]
    for rank, box in enumerate(findings.boxes, start=1):
        place = ", ".join(f"{value:.1f}" for value in box.center_ras)
        words = f"{place:<22}  {box.measures.words}" if box.measures else place
        lines.append(f"  {rank:>4}  {box.score:5.2f}  {box.diameter_mm:5.1f} mm  {box.side or '–':<5}  {words}")
    if not any(box.measures for box in findings.boxes):
        lines[0] = lines[0].removesuffix("measured").rstrip()
    return [*lines, *weaker]


def _weaker_lines(candidates: Sequence[Box]) -> list[str]:
    """What the results hold besides what is reported."""
    if not candidates:
        return []
    scores = [box.score for box in candidates]
    return [f"  weaker candidates kept beside: {len(scores)}, with scores from {max(scores):.2f} to {min(scores):.2f}"]


def _landmark_lines(findings: Findings) -> list[str]:
    """Found landmarks one line each; the missing ones together in one."""
    lines = ["  landmark  confidence  to next   R, A, S (mm)"] if findings.found else ["  nothing found"]
    for landmark, to_next in zip(findings.landmarks, distances_to_next(findings.landmarks), strict=True):
        if landmark.position_ras is None:
            continue
        place = ", ".join(f"{value:.1f}" for value in landmark.position_ras)
        step = "" if to_next is None else f"{to_next:.1f} mm"
        doubt = f"   check: {'; '.join(landmark.flags)}" if landmark.flags else ""
        lines.append(f"  {landmark.label:<8}  {landmark.confidence:10.2f}  {step:>7}   {place}{doubt}")
    missing = neighbours_together((one.label, one.position_ras is None) for one in findings.landmarks)
    if findings.found and missing:
        lines.append(f"  not found: {missing}")
    return lines


def _segment_lines(findings: Findings) -> list[str]:
    width = max(len(segment.label) for segment in findings.segments)
    lines = [f"  {'label':<{width}}  volume mm³  length mm  confidence"]
    for segment in findings.segments:
        doubt = f"   check: {'; '.join(segment.flags)}" if segment.flags else ""
        size = f"{segment.volume_mm3:10.0f}  {segment.length_mm:9.1f}"
        lines.append(f"  {segment.label:<{width}}  {size}  {segment.confidence:10.2f}{doubt}")
    return lines
