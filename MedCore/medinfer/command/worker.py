"""Inference in a process of its own: `python -m medinfer.command.worker JOB`.

JOB is a JSON file: {"scan": path, "model": id or folder, "result": path} and, if wanted, "backend", "device",
"precision", "threads", "threshold", "overlap" (see `with_overlap`), "mirroring" (see `with_mirroring`), "assume_hu"
(see `run`), and "label_map": path of the file (.nii.gz) for the voxels of segments. A scan may also be handed over as
a `.npy` file of its voxels `[k, j, i]`: then "ijk_to_ras" (4×4, mm), "name" and, where it is known, "modality" come
with it, and "focus" ([[k, j, i], [k, j, i]], the first voxel and the one behind the last) restricts the run to a block
of it. A "label_map" that ends in `.npy` gets no more than the block of voxels around the segments. "further" holds
further images by the names that the model gives them, each {"scan": path, "ijk_to_ras": …, "name": …, "modality": …} in
the same way.

Standard output carries one JSON object per line:

    {"event": "steps", "steps": [{"name": "coarse prepare", "weight": 3.0}, …]}     what will be done, in this order
    {"event": "session", "device": …, "runtime": …, "precision": …}
    {"event": "progress", "scan": …, "stage": "network", "done": 3, "total": 8}
    {"event": "result", "file": …}     the findings are in that file, whole; with "label_map": {"file", "ijk_to_ras"}
    {"event": "error", "scan": …, "text": "one sentence for the user"}     with "crash": true for a bug

Standard error is the log: what libraries say, and the stack trace of every error.

Standard input stays open as long as the result is wanted: closing it (as the end of the parent does), SIGTERM or
Ctrl-C cancels between two tiles; where a tile takes longer than 1.5 seconds the process then ends itself. A parent
that sets MEDINFER_GREETED writes a line first: where that never comes, a launcher between them keeps the input to
itself, and its end means nothing. Exit codes: 0 result written, 1 a crash, 2 refused (bad scan, model, device, memory
used up), 130 cancelled. The result file is written beside and renamed.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from ..atomic_files import remove_partials, write_text
from ..errors import Cancelled, MedInferError
from .console import JsonConsole
from .process_tree import kill_tree

if TYPE_CHECKING:
    from ..findings import Findings
    from ..volume import Volume

DONE, CRASHED, REFUSED, CANCELLED = 0, 1, 2, 130
GREETED = "MEDINFER_GREETED"

# How long a cancelled run may take to come to the end of its tile.
_GRACE_S = 1.5


@dataclass(frozen=True)
class Job:
    """What to run, and where the findings go."""

    scan: str
    model: str
    result: str
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    threshold: float | None = None
    overlap: float | None = None
    label_map: str | None = None
    ijk_to_ras: Sequence[Sequence[float]] | None = None
    focus: Sequence[Sequence[int]] | None = None
    name: str | None = None
    modality: str | None = None
    assume_hu: bool = False
    mirroring: bool = True
    further: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not isinstance(value, _KINDS.get(one.name, str)) and not (value is None and one.default is None):
                raise TypeError(f"the field {one.name} is {value!r}")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "threads": int, "threshold": (int, float), "overlap": (int, float), "ijk_to_ras": list,
    "focus": list, "assume_hu": bool, "mirroring": bool,
    "further": dict,
}


def read_job(path: Path) -> Job:
    """Read a job file. Raises MedInferError with the field that is wrong."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - {one.name for one in fields(Job)}
        if unknown:
            raise MedInferError(f"{path}: the field {sorted(unknown)[0]} is unknown; see medinfer.command.worker.")
        return Job(**data)
    except (OSError, ValueError, TypeError) as error:
        raise MedInferError(f"{path} is not a job file ({error}); see medinfer.command.worker.") from None


def main(arguments: list[str] | None = None) -> int:
    """Run one job file; returns the exit code."""
    # What native libraries print must not break the JSON lines: descriptor 1 becomes standard error.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    console = JsonConsole(lines)
    outputs: list[str] = []
    cancelled = threading.Event()
    _listen(cancelled, sys.stdin.fileno(), outputs)
    job: Job | None = None
    try:
        (path,) = arguments if arguments is not None else sys.argv[1:]
        job = read_job(Path(path))
        outputs += [name for name in (job.result, job.label_map) if name]
        _run(job, console, cancelled)
    except Cancelled as error:
        console.event("cancelled", {"text": str(error)})
        return CANCELLED
    except Exception as error:
        traceback.print_exc()
        return _told(error, (job.name or job.scan) if job else "", console)
    return DONE


def _told(error: Exception, scan: str, console: JsonConsole) -> int:
    """Report `error` in one sentence; returns the exit code for it."""
    from ..backends.session import ran_out_of_memory

    if isinstance(error, MedInferError):
        console.error(scan, str(error))
        return REFUSED
    if ran_out_of_memory(error):
        console.error(
            scan, "This computer ran out of memory; close other programs, or use a computer with more."
        )
        return REFUSED
    if isinstance(error, ImportError):
        console.error(
            scan, f"A library that MedInfer needs is missing or incomplete ({error}); reinstall MedInfer's packages."
        )
        return REFUSED
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = f"MedInfer failed unexpectedly ({what}); see the log for details."
    console.event("error", {"scan": scan, "text": text, "crash": True})
    return CRASHED


def _run(job: Job, console: JsonConsole, cancelled: threading.Event) -> None:
    from ..inference.mirroring import mirrors, with_mirroring
    from ..inference.overlap import with_overlap
    from ..inference.package_session import open_package
    from ..inference.pipeline import run
    from ..inference.steps import steps_of
    from ..library.library import find_package
    from ..preparation.images import with_further

    def progress(stage: str, done: int, total: int) -> None:
        console.progress(job.name or job.scan, stage, done, total)

    progress("read", 0, 1)
    package = find_package(job.model)
    mirroring = job.mirroring or not mirrors(package)
    package = with_mirroring(with_overlap(package, job.overlap), mirroring)
    console.event("steps", {"steps": [asdict(step) for step in steps_of(package.manifest)]})
    scan = _volume(job.scan, job.ijk_to_ras, job.name or job.scan, job.modality, job.focus)
    volume = with_further(scan, package.manifest.images, _further(job))
    progress("open", 0, 1)
    with open_package(
        package, backend=job.backend, device=job.device, precision=job.precision, threads=job.threads
    ) as session:
        console.event("session", {
            "device": session.device, "runtime": session.runtime, "precision": session.precision,
        })
        findings = run(
            volume, package, session, threshold=job.threshold, progress=progress, cancel=cancelled.is_set,
            assume_hu=job.assume_hu,
        )
    chosen = {"overlap": job.overlap, "mirroring": None if mirroring else False}
    asked = {name: value for name, value in chosen.items() if value is not None}
    findings = replace(findings, run={**findings.run, **asked})
    progress("write", 0, 1)
    labels = _write_label_map(job, findings, volume)
    write_text(job.result, findings.to_json() + "\n")
    console.event("result", {"file": job.result, **labels})


def _volume(
    scan: str, ijk_to_ras: Sequence[Sequence[float]] | None, name: str, modality: str | None,
    focus: Sequence[Sequence[int]] | None = None,
) -> Volume:
    """A scan that was handed over, if its place in the world comes with it, or else one that is read from a file."""
    from ..scans.reading import read_volume
    from .handed_over import read_handed_over

    return read_volume(scan) if ijk_to_ras is None else read_handed_over(Path(scan), ijk_to_ras, name, modality, focus)


def _further(job: Job) -> dict[str, Volume]:
    return {
        name: _volume(image["scan"], image.get("ijk_to_ras"), str(image.get("name", name)), image.get("modality"))
        for name, image in job.further.items()
    }


def _write_label_map(job: Job, findings: Findings, volume: Volume) -> dict[str, Any]:
    """What the result event says of it."""
    from .handed_over import write_label_map
    from .label_files import write_label_map as write_for_others

    labels = findings.label_map
    if job.label_map is None or labels is None:
        return {}
    if job.label_map.endswith(".npy"):
        write_label_map(labels, Path(job.label_map))
        return {"label_map": {"file": job.label_map, "ijk_to_ras": labels.grid.ijk_to_ras.tolist()}}
    write_for_others(labels, volume, Path(job.label_map))
    return {}


def _listen(cancelled: threading.Event, descriptor: int, outputs: Sequence[str]) -> None:
    """Set `cancelled` when `descriptor` ends or a signal comes; end the process where that is not heeded."""

    def stop(number: int, frame: FrameType | None) -> None:
        cancelled.set()

    def read() -> None:
        # Not sys.stdin: its lock, held by this thread, would stop the interpreter from ending.
        greeted = GREETED not in os.environ
        while os.read(descriptor, 4096):
            greeted = True
        if greeted:
            cancelled.set()
            time.sleep(_GRACE_S)
            _end(outputs)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=read, daemon=True, name="medinfer-parent").start()


def _end(outputs: Sequence[str]) -> NoReturn:
    """End now, in the middle of a tile. A result is renamed into place, so it is never incomplete."""
    kill_tree(os.getpid(), itself=False)
    for path in outputs:
        remove_partials(path)
    os._exit(CANCELLED)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Taking networks and libraries down in order takes a second, and the system does it for nothing.
    os._exit(code)
