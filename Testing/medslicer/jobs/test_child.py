"""A child process: what it tells arrives, and it ends with all that it started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medinfer.errors import MedInferError
from medslicer.jobs.child import Child, GrowingFile

# Starts a process of its own that ignores polite requests, tells its number, and then sleeps.
PARENT = """
import json, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=1); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
print(json.dumps({"event": "started", "pid": child.pid}), flush=True)
time.sleep(600)
"""


@pytest.fixture
def child_of(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children = []

    def make(source: str, **options: Any) -> Child:
        child = Child(["-c", source], tmp_path, **options)
        children.append(child)
        child.start()
        return child

    yield make
    for child in children:
        child.kill()


def events_of(child: Child) -> list[dict[str, Any]]:
    """All that it tells until it ends."""
    events: list[dict[str, Any]] = []
    while True:
        running = child.running
        events += child.poll()
        if not running:
            return events
        time.sleep(0.01)


def first_event(child: Child) -> dict[str, Any]:
    while child.running:
        for event in child.poll():
            return dict(event)
        time.sleep(0.01)
    raise AssertionError(child.log_file.read_text())


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet cleared away does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_json_lines_arrive_in_order_and_other_lines_are_left_out(child_of: Callable[..., Child]) -> None:
    lines = ['{"event": "one"}', "a library says hello", "[1]", '{"event": "two"}']
    child = child_of(f"for line in {lines}: print(line)")
    assert [event["event"] for event in events_of(child)] == ["one", "two"]
    assert child.exit_code == 0
    assert not child.running


def test_what_it_tells_as_it_ends_is_not_lost(child_of: Callable[..., Child]) -> None:
    source = "import sys\nfor n in range(60000): print('{\"event\": %d}' % n)\nsys.exit(3)"
    child = child_of(source)
    while child.running:
        time.sleep(0.01)
    assert [event["event"] for event in child.poll()] == list(range(60000))


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "lines")
    assert file.new_lines() == []
    (tmp_path / "lines").write_bytes(b"first\nsec")
    assert file.new_lines() == ["first"]
    with (tmp_path / "lines").open("ab") as stream:
        stream.write("ond é\n".encode())
    assert file.new_lines() == ["second é"]


def test_standard_error_is_the_log(child_of: Callable[..., Child]) -> None:
    child = child_of("raise ValueError('what went wrong: é')")
    events_of(child)
    assert child.exit_code == 1
    assert child.log_lines()[-1] == "ValueError: what went wrong: é"
    assert "Traceback" in child.log_file.read_text(encoding="utf-8")


def test_it_finds_medinfer_and_works_in_its_own_folder(child_of: Callable[..., Child], tmp_path: Path) -> None:
    (event,) = events_of(child_of(
        "import json, os, medinfer; print(json.dumps({'cwd': os.getcwd(), 'from': medinfer.__file__}))"
    ))
    assert Path(event["cwd"]) == tmp_path.resolve()
    assert Path(event["from"]).parent.name == "medinfer"


def test_its_input_ends_with_its_parent(child_of: Callable[..., Child], tmp_path: Path) -> None:
    """The parent is another process that starts a child and is then killed without a chance to say anything."""
    parent = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from pathlib import Path; from medslicer.jobs.child import Child\n"
         "child = Child(['-c', 'import sys; sys.stdin.read(); print(chr(123) + chr(125))'], Path(sys.argv[1]))\n"
         "child.start(); print('started', flush=True); time.sleep(600)", str(tmp_path)],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    for _ in range(500):
        if (tmp_path / "events.jsonl").read_text():
            return
        time.sleep(0.02)
    raise AssertionError("the child still waits for input")


def test_a_child_that_listens_ends_by_itself_when_cancelled(child_of: Callable[..., Child]) -> None:
    child = child_of(
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True)\n"
        "sys.stdin.read(); sys.exit(130)"
    )
    first_event(child)
    child.cancel()
    events_of(child)
    assert child.exit_code == 130


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")
@pytest.mark.parametrize("apart", [False, True], ids=["in its group", "in a session of its own"])
def test_cancelling_a_deaf_child_takes_its_children_along(child_of: Callable[..., Child], apart: bool) -> None:
    source = PARENT.replace("stdout=subprocess.PIPE", f"stdout=subprocess.PIPE, start_new_session={apart}")
    child = child_of("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + source)
    grandchild = first_event(child)["pid"]
    assert lives(grandchild)
    child.cancel()
    child.cancel()
    events_of(child)
    assert child.exit_code is not None
    # The kernel clears it away in its own time, which on a busy machine is a moment.
    until = time.monotonic() + 10
    while lives(grandchild) and time.monotonic() < until:
        time.sleep(0.01)
    assert not lives(grandchild)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")
def test_a_launcher_that_goes_first_does_not_leave_its_python_behind(child_of: Callable[..., Child]) -> None:
    """As PythonSlicer, which starts the real Python: it heeds the request to end, that Python does not."""
    child = child_of(PARENT)
    grandchild = first_event(child)["pid"]
    child.cancel()
    while child.exit_code is None:
        time.sleep(0.01)
    assert child.running
    events_of(child)
    assert not lives(grandchild)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")
def test_killing_takes_its_children_along(child_of: Callable[..., Child]) -> None:
    child = child_of(PARENT)
    grandchild = first_event(child)["pid"]
    child.kill()
    events_of(child)
    assert child.exit_code is not None
    # The kernel clears it away in its own time, which on a busy machine is a moment.
    until = time.monotonic() + 10
    while lives(grandchild) and time.monotonic() < until:
        time.sleep(0.01)
    assert not lives(grandchild)


def test_slicers_own_python_is_taken_where_there_is_one(
    child_of: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nLAUNCHED=yes exec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    (event,) = events_of(child_of("import json, os; print(json.dumps({'launched': os.environ.get('LAUNCHED')}))"))
    assert event == {"launched": "yes"}


def test_one_that_cannot_be_started_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MedInferError, match=r"python.* could not be started"):
        Child(["-c", ""], tmp_path).start()
