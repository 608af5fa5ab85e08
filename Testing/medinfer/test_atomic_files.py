"""A new folder takes an old one's place whole, or the old one stays; what killed runs leave is removed, and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import medinfer
from medinfer.atomic_files import ASIDE, remove_abandoned, staging, take_place, write_text
from medinfer.errors import OutputError

WORKER = """
import sys, time
from pathlib import Path
from medinfer.atomic_files import staging
with staging(Path(sys.argv[1]) / "home") as place:
    (place / "half.txt").write_text("half")
    print("there", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_older_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "old.txt").write_text("old")
    with pytest.raises(OutputError, match="home"), staging(home) as place:
        take_place(place / "never-written", home, place / ASIDE)
    assert (home / "old.txt").read_text() == "old"
    assert names(tmp_path) == ["home"]


def test_a_new_folder_takes_the_place_and_nothing_of_the_old_one_is_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "old.txt").write_text("old")
    with staging(home) as place:
        (place / "fresh").mkdir()
        (place / "fresh" / "new.txt").write_text("new")
        assert take_place(place / "fresh", home, place / ASIDE)
    assert names(home) == ["new.txt"]
    assert names(tmp_path) == ["home"]


def test_what_must_not_be_replaced_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "old.txt").write_text("old")
    with staging(home) as place:
        (place / "fresh").mkdir()
        assert not take_place(place / "fresh", home, None)
    assert names(home) == ["old.txt"]


def test_many_that_take_one_place_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    home, faults = tmp_path / "home", []

    def replace(number: int) -> None:
        try:
            for round_ in range(20):
                with staging(home) as place:
                    (place / "fresh").mkdir()
                    for name in ("one.txt", "two.txt"):
                        (place / "fresh" / name).write_text(f"{number} {round_}")
                    take_place(place / "fresh", home, place / ASIDE)
        except OutputError as error:
            faults.append(error)

    threads = [threading.Thread(target=replace, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert (home / "one.txt").read_text() == (home / "two.txt").read_text()
    assert names(tmp_path) == ["home"]


@pytest.fixture
def worker(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing into `tmp_path`/home."""
    running = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(medinfer.__file__).parents[1])},
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "there\n"
    return running


def test_what_a_killed_run_left_is_removed_by_the_next(worker: subprocess.Popen[str], tmp_path: Path) -> None:
    before = names(tmp_path)
    assert len(before) == 2
    remove_abandoned(tmp_path)
    assert names(tmp_path) == before, "the process is alive"
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert names(tmp_path) == before
    with staging(tmp_path / "other"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["home", "older"])
def test_what_a_killed_run_had_put_aside_comes_back(tmp_path: Path, name: str) -> None:
    """It was killed between the two renames: the older folder was moved away, the new one was not there yet."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom medinfer import atomic_files\n"
        "home, rename = Path(sys.argv[1]), os.rename\n"
        "with atomic_files.staging(home) as place:\n"
        "    (place / home.name).mkdir()\n"
        "    os.rename = lambda *names: (rename(*names), os.kill(os.getpid(), 9))\n"
        "    atomic_files.take_place(place / home.name, home, place / atomic_files.ASIDE)\n"
    )
    home = tmp_path / name
    home.mkdir()
    (home / "old.txt").write_text("old")
    paths = {**os.environ, "PYTHONPATH": str(Path(medinfer.__file__).parents[1])}
    killed = subprocess.run([sys.executable, "-c", code, str(home)], check=False, env=paths)
    assert killed.returncode == -signal.SIGKILL
    assert not home.exists()
    remove_abandoned(tmp_path)
    assert names(tmp_path) == [name]
    assert names(home) == ["old.txt"]


def test_a_live_run_goes_on_beside_others(worker: subprocess.Popen[str], tmp_path: Path) -> None:
    for _ in range(3):
        with staging(tmp_path / "other"):
            pass
    (place,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert (place / "half.txt").read_text() == "half"
    worker.communicate("", timeout=20)
    assert worker.returncode == 0
    assert names(tmp_path) == []


def test_what_has_no_lock_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    for name in (".medinfer-old", ".medinfer-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".medinfer-old", (0, 0))
    remove_abandoned(tmp_path)
    assert names(tmp_path) == [".medinfer-new"]


def test_a_name_as_long_as_a_file_may_have_is_written(tmp_path: Path) -> None:
    name = "胸" * 80 + ".json"
    write_text(tmp_path / name, "whole")
    assert names(tmp_path) == [name]


def test_a_link_to_nothing_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match=r"results cannot be written: .*out is a link to nothing; remove it"):
        write_text(tmp_path / "out" / "results", "whole")
