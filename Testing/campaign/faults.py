"""What a fault is, and what every fault shares: a sound scan and model, runs in this process and in others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from blobs import write_blobs

from medinfer.findings import Findings

from .kinds import BOTH, Place, detect, saved, small_scan
from .trying import Told, place_problems, run_command, whole_problems

NOBODY = 65534


@dataclass(frozen=True)
class Fault:
    """strike: lets it happen in a folder, asserts what must be true after it, and says in a few words what happened."""

    name: str
    expected: str
    strike: Callable[[Path], str]


@dataclass(frozen=True)
class Site:
    """A folder with a scan and a model; out: where results go."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def model(self) -> Path:
        return self.folder / "models" / "blobs"

    def scan(self, name: str = "chest.nii.gz", change: int = 0) -> Path:
        """The small scan; with another `change`, that of another patient."""
        voxels = small_scan().voxels.copy()
        voxels[0, 0, 0] += change
        return saved(self.folder / "scans", name, small_scan().with_voxels(voxels))

    def words(self, *more: object) -> list[str]:
        if not self.model.exists():
            write_blobs(self.model)
        return [str(word) for word in detect(Place(self.folder, self.out, self.model), *more)]

    def run(self, *more: object, outputs: Mapping[str, Any] | None = None) -> Told:
        """A run in this process. outputs: called as it writes its results."""
        words = [word for word in self.words(*more) if word != "--no-scene" or not outputs]
        return run_command(words, outputs)


def ended(running: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and what was printed on standard error."""
    _, complained = running.communicate(timeout=120)
    assert "Traceback" not in complained, complained
    return running.returncode, complained


def check_whole(out: Path, *names: str) -> None:
    """In the output folder lie these results, whole and right, and nothing else, hidden or not."""
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    assert there == sorted(names), f"in the output folder lie {there}"
    for name in names:
        findings = Findings.from_json((out / name / "findings.json").read_text(encoding="utf-8"))
        problems = [*whole_problems(out / name), *place_problems(findings, BOTH)]
        assert not problems, problems


def visible(out: Path) -> list[str]:
    """What a user sees in the output folder."""
    return sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []


def check_refused(told: Told, *codes: int) -> str:
    """It ended with one of the codes and one sentence; that sentence."""
    assert told.code in codes, told.output
    assert "Traceback" not in told.output
    assert "unexpected" not in told.output, told.output
    assert len(told.errors) == 1, told.errors
    return told.errors[0]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns)
    return found


@contextmanager
def as_nobody(*owned: Path) -> Iterator[None]:
    """Files are opened and made as by a user without rights; `owned` are given to that user. Where this process is no
    superuser's, nothing is to be done."""
    if os.geteuid() != 0:
        yield
        return
    for path in owned:
        os.chown(path, NOBODY, NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def large(site: Site) -> Path:
    """A scan that takes seconds: the small one in rows of five."""
    whole = small_scan()
    voxels = np.tile(whole.voxels, (5, 5, 5))
    grid = whole.grid.cropped((0, 0, 0), voxels.shape)
    return saved(site.folder / "scans", "large.mha", type(whole)(voxels, grid, "large"))


