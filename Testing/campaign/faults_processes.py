"""Runs that are killed, stopped or doubled, clocks that are wrong, and readers that go away."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from blobs import write_blobs

from medinfer.library.places import user_folder
from medinfer.living_lock import held

from .children import child
from .faults import Fault, Site, check_refused, check_whole, ended, large, stamps, visible
from .trying import run_command

# In the process of a run: it is killed when it is about to do that.
_KILL = "import os\ndef die(*unused, **more): os.kill(os.getpid(), 9)\n"
_KILLED_WRITING = _KILL + "from medinfer.command import results\nresults.take_place = die"
_KILLED_REPLACING = _KILL + (
    "rename = os.rename\n"
    "def once(*names):\n rename(*names)\n die()\n"
    "from medinfer.command import batch\nos.rename = once"
)
_KILLED_ADDING = _KILL + "from medinfer.importers import adding\nadding.take_place = die"


def _signalled(folder: Path, number: signal.Signals) -> tuple[Site, int, str]:
    """A run that gets a signal between two tiles, beside earlier results."""
    site = Site(folder)
    assert site.run(site.scan()).code == 0
    before = stamps(site.out)
    running = child(*site.words(large(site), "--json", "--threads", 1))
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        if event.get("stage") == "network" and event["done"] > 2:
            running.send_signal(number)
            break
    code, complained = ended(running)
    assert visible(site.out) == ["chest"]
    assert {path: stamp for path, stamp in stamps(site.out).items() if path.startswith("chest")} == before
    return site, code, complained


def _killed_computing(folder: Path) -> str:
    site, code, _ = _signalled(folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert site.run(site.scan("b.nii.gz", 1)).code == 0
    check_whole(site.out, "chest", "b")
    return "nothing of it is left; the next run is done"


def _terminated(folder: Path) -> str:
    site, code, complained = _signalled(folder, signal.SIGTERM)
    assert (code, complained) == (130, "")
    check_whole(site.out, "chest")
    return "exit 130, nothing of it is left"


def _killed_writing(folder: Path) -> str:
    site = Site(folder)
    scan = site.scan()
    code, _ = ended(child(*site.words(scan), code=_KILLED_WRITING))
    assert code == -signal.SIGKILL
    assert visible(site.out) == []
    left = len(list(site.out.iterdir()))
    assert left, "it was to be killed with something half written"
    assert site.run(scan).code == 0
    check_whole(site.out, "chest")
    return f"{left} hidden leftovers, which the next run removed"


def _killed_replacing(folder: Path) -> str:
    """Between the two renames by which new results take the place of older ones."""
    site = Site(folder)
    scan, other = site.scan(), site.scan("b.nii.gz", 1)
    assert site.run(scan).code == 0
    before = stamps(site.out)
    code, _ = ended(child(*site.words(scan, "--overwrite"), code=_KILLED_REPLACING))
    assert code == -signal.SIGKILL
    assert site.run(other).code == 0
    check_whole(site.out, "chest", "b")
    assert before.items() <= stamps(site.out).items()
    return "the earlier results came back with the next run"


def _killed_adding(folder: Path) -> str:
    package = write_blobs(folder / "blobs")
    code, _ = ended(child("add", package, code=_KILLED_ADDING))
    assert code == -signal.SIGKILL
    assert visible(user_folder()) == []
    assert "blobs" not in run_command(["models"]).output
    assert run_command(["add", str(package)]).code == 0
    assert sorted(path.name for path in user_folder().iterdir()) == ["blobs"]
    return "no half of a model; the next one is installed, and the leftovers are gone"


def _stopped_twice(folder: Path) -> str:
    """Ctrl-C while results are written, and once more."""
    site = Site(folder)

    def impatient(*unused: Any) -> list[Path]:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return []

    sentence = check_refused(site.run(site.scan(), outputs={"impatient": impatient}), 130)
    assert sentence == "stopped at once; what was being written is left out"
    check_whole(site.out)
    return sentence


def _two_runs(folder: Path) -> str:
    site = Site(folder)
    words = site.words(site.scan(), site.scan("b.nii.gz", 1))
    running = [child(*words) for _ in range(2)]
    assert [ended(one) for one in running] == [(0, "")] * 2
    check_whole(site.out, "chest", "b")
    return "both exit 0, each result is there once"


def _two_adds(folder: Path) -> str:
    package = write_blobs(folder / "blobs")
    running = [child("add", package) for _ in range(2)]
    assert [ended(one) for one in running] == [(0, "")] * 2
    assert sorted(path.name for path in user_folder().iterdir()) == ["blobs"]
    site = Site(folder)
    assert site.run(site.scan(), "--model", "blobs").code == 0
    check_whole(site.out, "chest")
    return "both exit 0, the model is there once and runs"


def _clock_set_back(folder: Path) -> str:
    """Results, files and leftovers are of tomorrow, and then of 1970."""
    site = Site(folder)
    scan, other = site.scan(), site.scan("b.nii.gz", 1)
    assert site.run(scan).code == 0
    tomorrow = time.time() + 90_000
    leftover = site.out / ".medinfer-left"
    leftover.mkdir()
    for path in [scan, *site.out.rglob("*")]:
        os.utime(path, (tomorrow, tomorrow))
    told = site.run(scan, other)
    assert (told.code, "already done, skipped" in told.output) == (0, True), told.output
    assert leftover.is_dir(), "a folder without a lock may belong to a run that is alive"
    leftover.rmdir()
    for now in (1.0, tomorrow + 10 * 365 * 86_400):
        with patch.object(time, "time", lambda now=now: now):
            told = site.run(scan, other, "--overwrite")
        assert told.code == 0, told.output
        check_whole(site.out, "chest", "b")
    return "what is done is known as done; runs end as ever"


def _stale_lock(folder: Path) -> str:
    """Leftovers of a process that is dead, and beside them those of one that is alive."""
    site = Site(folder)
    site.out.mkdir()
    for name in ("dead", "alive"):
        (site.out / f".medinfer-{name}").mkdir()
        (site.out / f".medinfer-{name}" / "half.txt").write_text("half")
    (site.out / ".medinfer-dead.lock").touch()
    with held(site.out / ".medinfer-alive.lock"):
        assert site.run(site.scan()).code == 0
        assert visible(site.out) == ["chest"]
        assert (site.out / ".medinfer-alive" / "half.txt").is_file()
        assert not (site.out / ".medinfer-dead").exists()
    assert site.run(site.scan("b.nii.gz", 1)).code == 0
    left = [path.name for path in site.out.iterdir() if path.name.startswith(".")]
    assert left == [".medinfer-alive"]
    return "the dead one's are gone, the living one's are not"


def _dead_reader(folder: Path) -> str:
    """`medinfer detect … | head -0`."""
    site = Site(folder)
    running = child(*site.words(site.scan()))
    assert running.stdout is not None
    running.stdout.close()
    running.stdout = None
    assert ended(running) == (0, "")
    check_whole(site.out, "chest")
    return "exit 0, the results are whole"


def _model_lost(folder: Path) -> str:
    """The model's network is exchanged while it is at work."""
    site = Site(folder)
    first, second = site.scan(), site.scan("b.nii.gz", 1)

    def meanwhile(*unused: Any) -> list[Path]:
        (site.model / "network.onnx").write_bytes(b"other")
        return []

    assert site.run(first, second, outputs={"meanwhile": meanwhile}).code == 0
    check_whole(site.out, "chest", "b")
    sentence = check_refused(site.run(first, "--overwrite"), 2)
    assert "is not the file that model.json declares" in sentence
    check_whole(site.out, "chest", "b")
    return "the run ends with the network it had opened; the next one refuses the other"


FAULTS = (
    Fault("killed while it computes", "earlier results stay, the next run completes", _killed_computing),
    Fault("SIGTERM while it computes", "exit 130, nothing half written", _terminated),
    Fault("killed while it writes", "no result; the next run completes and cleans up", _killed_writing),
    Fault("killed while it replaces results", "the earlier results are not lost", _killed_replacing),
    Fault("killed while it adds a model", "no model; the next one is installed", _killed_adding),
    Fault("Ctrl-C twice", "exit 130, one sentence, nothing half written", _stopped_twice),
    Fault("two runs at once into one folder", "both complete, each result once", _two_runs),
    Fault("one model added twice at once", "both complete, one model", _two_adds),
    Fault("a clock that was set", "nothing depends on it", _clock_set_back),
    Fault("a lock of a dead process", "its leftovers go, a living one's stay", _stale_lock),
    Fault("a reader that goes away", "the run completes without a word", _dead_reader),
    Fault("a network exchanged during a run", "the run completes, the next one refuses it", _model_lost),
)
