"""Any shell: narrow encodings, closed and full outputs, and readers that go away cost words and not the run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medinfer
from medinfer.scans.writing import write_volume

Make = Callable[..., Path]
NAME = "山田太郎–³"


@pytest.fixture
def shell(blob_scan: Any, blob_package: Make, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run `medinfer detect` on a scan with a name in Japanese, with `more` behind it, by a shell."""
    write_volume(blob_scan[0], tmp_path / f"{NAME}.nii.gz")
    words = [sys.executable, "-m", "medinfer", "detect", f"{NAME}.nii.gz", "-o", "out", "--no-scene"]
    command = shlex.join([*words, "--model", str(blob_package())])

    def run(more: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
        paths = {"PYTHONPATH": os.pathsep.join([str(Path(medinfer.__file__).parents[1]), os.environ["PYTHONPATH"]])}
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} {more}"], cwd=tmp_path, capture_output=True, check=False,
            env={**os.environ, **paths, **environment}, timeout=120,
        )

    return run


def done(folder: Path) -> bool:
    """Whether the run wrote its results. Names keep letters and digits."""
    return [path.name for path in (folder / "out").iterdir()] == ["山田太郎-³"]


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", rb"\u5c71\u7530\u592a\u90ce-3"), ("cp1252", b"\\u5c71\\u7530\\u592a\\u90ce-\xb3"),
     ("utf-8", "山田太郎-³".encode())],
)
def test_a_name_is_shown_in_any_encoding(shell: Any, tmp_path: Path, encoding: str, shown: bytes) -> None:
    ran = shell(PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert shown + b": 2 found by blobs" in ran.stdout
    assert done(tmp_path)


def test_json_lines_are_whole_in_any_encoding(shell: Any) -> None:
    ran = shell("--json", PYTHONIOENCODING="ascii")
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert events[-1]["done"] == ["山田太郎-³"]


@pytest.mark.parametrize(
    "more", ["| head -1", ">&-", "> /dev/full", ">&- 2>&- <&-", "2> /dev/full", "--json | head -1"]
)
def test_an_output_that_takes_nothing_stops_no_run(shell: Any, tmp_path: Path, more: str) -> None:
    ran = shell(more)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert done(tmp_path)


@pytest.mark.parametrize("arguments", ["--help", "models", "detect --help"])
def test_lists_and_help_end_quietly_with_their_reader(arguments: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m medinfer {arguments}"
    for more in ("| head -1", "> /dev/full"):
        ran = subprocess.run(["bash", "-c", f"{command} {more}"], capture_output=True, check=False)
        assert ran.stderr == b""


def test_a_log_without_a_folder_is_a_sentence(shell: Any, tmp_path: Path) -> None:
    ran = shell("--log nowhere/log.txt")
    assert ran.returncode == 2
    words = "The log nowhere/log.txt cannot be written: there is no folder nowhere; make it, or give another file."
    assert ran.stderr.decode() == f"error: {words}\n"
    assert not (tmp_path / "out").exists()


def test_a_log_that_does_not_fit_stops_no_run(shell: Any, tmp_path: Path) -> None:
    ran = shell("--log /dev/full")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert done(tmp_path)


def test_an_output_folder_below_what_can_hold_none_is_a_sentence(shell: Any) -> None:
    ran = shell("-o /proc/there/out")
    assert ran.returncode == 2
    words = "/proc/there/out cannot be written: its folder does not exist and cannot be made; choose another folder."
    assert ran.stderr.decode() == f"error: {words}\n"
