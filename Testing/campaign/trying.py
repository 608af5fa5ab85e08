"""One kind of bad input tried by the command, in this process; and what of it is not as it was expected."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blobs import write_blobs

from medinfer.command.cli import main
from medinfer.command.results import Output
from medinfer.findings import Findings

from .bad_jobs import JOB
from .children import child
from .kinds import SPACING, Kind, Place, middles

# What no user may see.
_NEVER = ("Traceback", "unexpected", "NoneType", "<class", "\x1b")
_ERROR = re.compile(r"^(?:medinfer[\w ]*: )?error: (.*)$")
_NOTE = re.compile(r"\bnote: (.*)$")


@dataclass(frozen=True)
class Told:
    """What the command said and how it ended. errors, notes: their sentences; output: all that was printed."""

    code: int
    errors: tuple[str, ...]
    notes: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Outcome:
    """happened: in a few words; problems: what is not as expected."""

    happened: str
    problems: tuple[str, ...]


def try_kind(kind: Kind, folder: Path) -> Outcome:
    """Make the kind in `folder`, run its command, and compare."""
    place = Place(folder / "given", folder / "out", folder / "models" / "blobs")
    place.folder.mkdir(parents=True)
    write_blobs(place.model)
    words = [str(word) for word in kind.make(place)]
    before = _content(place.folder)
    told = run_job(words[1]) if words[:1] == [JOB] else run_command(words)
    problems = [*_told_problems(kind, told), *_result_problems(kind, place.out, told)]
    if not before.items() <= _content(place.folder).items():
        problems.append("the input was changed")
    return Outcome(_happened(told), tuple(problems))


def run_command(words: Sequence[str], outputs: Mapping[str, Output] | None = None) -> Told:
    """The command `medinfer`, without the outputs that Slicer's libraries write; `outputs` instead of them."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), _own_log():
        try:
            code = main(words, outputs or {})
        except SystemExit as end:  # argparse ends so
            code = int(end.code or 0)
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    usage = complained.startswith("usage:")
    lines = [line for line in complained.splitlines() if not usage or _ERROR.match(line)]
    errors = [match[1] if (match := _ERROR.match(line)) else f"not a sentence: {line}" for line in lines]
    notes = [match[1] for line in said.splitlines() if (match := _NOTE.search(line))]
    return Told(code, tuple(errors), tuple(notes), said + complained)


def run_job(path: str) -> Told:
    """A job in the worker, which is always a process of its own; its errors come as JSON lines."""
    with child(path, module="medinfer.command.worker") as running:
        assert running.stdout is not None
        # Its input stays open until it has ended: the end of that would cancel it.
        events = [json.loads(line) for line in running.stdout]
    errors = [event["text"] for event in events if event["event"] == "error"]
    return Told(running.returncode, tuple(errors), (), "\n".join(errors))


@contextmanager
def _own_log() -> Iterator[None]:
    """The log of a process that has opened none yet."""
    log = logging.getLogger()
    before, log.handlers = log.handlers, []
    try:
        yield
    finally:
        for handler in log.handlers:
            handler.close()
        log.handlers = before


def _told_problems(kind: Kind, told: Told) -> Iterator[str]:
    if told.code != kind.code:
        yield f"exit code {told.code} instead of {kind.code}"
    yield from (f"{word!r} was printed" for word in _NEVER if word in told.output)
    yield from unmatched("error", kind.says, told.errors)
    yield from unmatched("note", kind.notes, told.notes)
    yield from (f"no sentence: {line}" for line in told.errors if not line.endswith((".", ")", "?")))


def unmatched(what: str, expected: Sequence[str], told: Sequence[str]) -> Iterator[str]:
    """Every pattern must fit one line of its own, and every line must be expected."""
    left = list(told)
    for pattern in expected:
        fitting = [line for line in left if re.search(pattern, line)]
        if fitting:
            left.remove(fitting[0])
        else:
            yield f"no {what} like {pattern!r}"
    yield from (f"{what} that was not expected: {line}" for line in left)


def _result_problems(kind: Kind, out: Path, told: Told) -> Iterator[str]:
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    wanted = {*kind.found, *kind.inside}
    if there != wanted:
        yield f"in the output folder lie {sorted(there)} instead of {sorted(wanted)}"
    kept: list[str] = []
    for name in [name for name in kind.found if name in there]:
        yield from whole_problems(out / name)
        findings = Findings.from_json((out / name / "findings.json").read_text(encoding="utf-8"))
        kept += findings.notes
        yield from place_problems(findings, kind.found[name])
    # What is said of a result stays with it; what is said of the run besides is not of a result.
    yield from (f"a note was kept and not said: {note}" for note in kept if note not in told.notes)


def whole_problems(folder: Path) -> Iterator[str]:
    """What is missing of a result, or does not belong to it."""
    names = {path.name for path in folder.iterdir()}
    if names != {"findings.json", "nodules.csv"}:
        yield f"{folder.name} holds {sorted(names)}"


def place_problems(findings: Findings, which: Sequence[int] | None) -> Iterator[str]:
    """Whether the balls `which` are found, each within a voxel, and nothing else is."""
    if which is None:
        return
    wanted, places = [middles()[number] for number in which], [np.array(box.center_ras) for box in findings.boxes]
    if len(places) != len(wanted):
        yield f"{len(places)} were found instead of {len(wanted)}"
        return
    for middle in wanted:
        off = min((np.abs(place - middle).max() for place in places), default=np.inf)
        if off > SPACING:
            yield f"nothing was found within {off:.1f} mm of {np.round(middle, 1)}"


def _content(folder: Path) -> dict[str, str]:
    """A digest of every plain file below the folder, by its path."""
    found = {}
    for home, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(home, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as stream:
                    found[os.fsdecode(path)] = hashlib.sha256(stream.read()).hexdigest()
    return found


def _happened(told: Told) -> str:
    words = [f"exit {told.code}", *told.errors, *(f"note: {note}" for note in told.notes)]
    return "; ".join(words)
