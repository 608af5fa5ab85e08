"""Inference in a process of its own: `python -m medinfer.worker JOB`.

JOB is a JSON file: {"scan": path, "model": id or folder, "result": path} and, if wanted, "backend", "device",
"precision", "threads", "threshold", and "label_map": path of the file (.nii.gz) for the voxels of segments.
Standard output carries one JSON object a line:

    {"event": "progress", "scan": …, "stage": "network", "done": 3, "total": 8}
    {"event": "result", "file": …}     the findings are in that file, whole
    {"event": "error", "scan": …, "text": "one sentence for the user"}

Standard input stays open as long as the result is wanted: closing it (as the end of the parent does), SIGTERM or
Ctrl-C cancels between two tiles. Exit codes: 0 result written, 1 a crash (stack trace on standard error),
2 refused (bad scan, model, device), 130 cancelled. The result file is written beside and renamed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType

from .console import JsonConsole
from .errors import Cancelled, MedInferError
from .writing import write_text, write_volume

DONE, REFUSED, CANCELLED = 0, 2, 130


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
    label_map: str | None = None


def read_job(path: Path) -> Job:
    """Read a job file. Raises MedInferError with the field that is wrong."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - {field.name for field in fields(Job)}
        if unknown:
            raise MedInferError(f"{path}: the field {sorted(unknown)[0]} is unknown; see medinfer.worker.")
        return Job(**data)
    except (OSError, ValueError, TypeError) as error:
        raise MedInferError(f"{path} is not a job file ({error}); see medinfer.worker.") from None


def main(arguments: list[str] | None = None) -> int:
    """Run one job file; returns the exit code."""
    # What native libraries print must not break the JSON lines: descriptor 1 becomes standard error.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    console = JsonConsole(lines)
    cancelled = threading.Event()
    _listen(cancelled, sys.stdin.fileno())
    job: Job | None = None
    try:
        (path,) = arguments if arguments is not None else sys.argv[1:]
        job = read_job(Path(path))
        _run(job, console, cancelled)
    except Cancelled as error:
        console.event("cancelled", {"text": str(error)})
        return CANCELLED
    except MemoryError:
        full = "The memory of this computer is used up; close other programs, or run it on a machine with more."
        console.error(job.scan if job else "", full)
        return REFUSED
    except MedInferError as error:
        console.error(job.scan if job else "", str(error))
        return REFUSED
    return DONE


def _run(job: Job, console: JsonConsole, cancelled: threading.Event) -> None:
    from .library import find_package
    from .pipeline import open_package, run
    from .reading import read_volume

    def progress(stage: str, done: int, total: int) -> None:
        console.progress(job.scan, stage, done, total)

    progress("read", 0, 1)
    package = find_package(job.model)
    volume = read_volume(job.scan)
    progress("open", 0, 1)
    with open_package(
        package, backend=job.backend, device=job.device, precision=job.precision, threads=job.threads
    ) as session:
        findings = run(
            volume, package, session, threshold=job.threshold, progress=progress, cancel=cancelled.is_set
        )
    if job.label_map is not None and findings.label_map is not None:
        write_volume(findings.label_map.whole(volume), job.label_map)
    write_text(job.result, findings.to_json() + "\n")
    console.event("result", {"file": job.result})


def _listen(cancelled: threading.Event, descriptor: int) -> None:
    """Set `cancelled` when `descriptor` ends or a signal comes."""

    def stop(number: int, frame: FrameType | None) -> None:
        cancelled.set()

    def read() -> None:
        # Not sys.stdin: its lock, held by this thread, would stop the interpreter from ending.
        while os.read(descriptor, 4096):
            pass
        cancelled.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=read, daemon=True, name="medinfer-parent").start()


if __name__ == "__main__":
    sys.exit(main())
