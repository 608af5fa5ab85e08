"""The command `medinfer`: what each of its commands does; their arguments stand in `arguments`.

Exit codes: 0 all done; 1 at least one scan failed; 2 nothing could be run (model, device, arguments); 130 stopped.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import TYPE_CHECKING, Literal

from ..atomic_files import output_error, remove_abandoned
from ..errors import Cancelled, MedInferError, OutputError, PackageError
from ..findings import Findings
from .add_command import add_command
from .arguments import SCAN_COMMANDS, command_for, parse
from .console import Console, open_console
from .library_commands import fetch_command, models_command, remove_command
from .lock_command import lock_command
from .results import Output, installed_outputs
from .standard_streams import hold_standard_streams

if TYPE_CHECKING:
    from ..inference.segments import Refine

OK, SCAN_FAILED, REFUSED, STOPPED = 0, 1, 2, 130
# Written only when asked for.
_ON_REQUEST = ("stl",)


def main(arguments: Sequence[str] | None = None, outputs: Mapping[str, Output] | None = None) -> int:
    """Run the command line and return its exit code.

    outputs: what is written besides JSON and CSV; by default what is installed (Slicer scenes with slicer-core).
    """
    if arguments is None:
        hold_standard_streams()
    options = parse(arguments)
    console = open_console(json_lines=options.json)
    with _stop_signals() as stopped, _warnings_told(console):
        try:
            _open_log(options.log)
            return _DOES[options.command](options, console, stopped, outputs)
        except Cancelled as error:
            console.error("", str(error))
            return STOPPED
        except KeyboardInterrupt:
            console.error("", "stopped at once; what was being written is left out")
            return STOPPED
        except Exception as error:
            logging.getLogger(__name__).debug("refused", exc_info=error)
            console.error("", _sentence(error))
            return REFUSED


def _sentence(error: Exception) -> str:
    if isinstance(error, MedInferError):
        return str(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"MedInfer failed for an unexpected reason ({what}); run it again with --log FILE and report what it says."


def _open_log(path: Path | None) -> None:
    """Raises OutputError."""
    if path is None:
        return
    # A log that fills the disk is cut short, and nothing is said of each line.
    logging.raiseExceptions = False
    try:
        logging.basicConfig(filename=path, level=logging.DEBUG, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        if not path.parent.is_dir():
            why = f"there is no folder {path.parent}; make it, or give another file"
            raise OutputError(f"The log {path} cannot be written: {why}.") from error
        raise output_error(path, error) from error


def _analyse(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    with _writable(options.output):
        return _analyse_into(options, console, stopped, outputs)


def _analyse_into(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..inference.mirroring import mirrors, with_mirroring
    from ..inference.overlap import with_overlap
    from ..inference.pipeline import open_package
    from ..library.library import find_package
    from .batch import Batch, run_batch
    from .image_sets import named_files
    from .label_names import renamed

    package = find_package(options.model, options.task)
    # Where nothing is mirrored there is nothing to leave out, and the result is the same.
    mirroring = options.mirroring or not mirrors(package)
    package = with_mirroring(with_overlap(package, options.overlap), mirroring)
    if package.manifest.task != options.task:
        right = command_for(package.manifest.task, package.id)
        raise PackageError(
            f"{package.id} is a model for `medinfer {right}`, not for `medinfer {options.command}`: "
            "use that command, or another model (see: medinfer models)."
        )
    if options.names is not None:
        renamed(Findings(), package.manifest, options.names)  # says now, not after a long run, what it doesn't know
    if outputs is None:
        outputs = installed_outputs()
    for name in _ON_REQUEST:
        if getattr(options, name) and name not in outputs:
            needed = "medslicer, which is not installed here: pip install 'medinfer[slicer]'"
            raise MedInferError(f"--{name} needs {needed}.")
    outputs = {name: output for name, output in outputs.items() if name not in _ON_REQUEST or getattr(options, name)}
    if options.no_scene:
        outputs = {name: output for name, output in outputs.items() if name in _ON_REQUEST}
    with open_package(
        package, backend=options.backend, device=options.device, precision=options.precision, threads=options.threads,
        key_file=options.key_file,
    ) as session:
        batch = Batch(
            package, session, options.output, outputs, options.threshold, options.overwrite, options.names,
            _refine(options.refine) if options.refine else None, options.overlap, options.assume_hu,
            mirroring, named_files(options.input),
        )
        console.say(f"{package.manifest.title} {package.manifest.version}. Not for clinical use.")
        console.say(f"running on {session.device} with {session.runtime}, {session.precision}")
        console.event("session", {
            "model": package.id, "device": session.device, "runtime": session.runtime, "precision": session.precision,
        })
        with console:
            tally = run_batch(options.scans, batch, console, stopped.is_set)
    console.event("summary", {"done": tally.done, "skipped": tally.skipped, "failed": tally.failed})
    if len(tally.done) + len(tally.skipped) + len(tally.failed) > 1:
        # Why each failed was said when it did.
        which = f" ({', '.join(tally.failed)})" if tally.failed else ""
        console.say(f"{len(tally.done)} done, {len(tally.skipped)} skipped, {len(tally.failed)} failed{which}")
    if tally.stopped:
        raise Cancelled(f"stopped; {len(tally.done) + len(tally.skipped)} of {tally.scans} scans were done")
    return SCAN_FAILED if tally.failed else OK


def _refine(method: Literal["geodesic", "watershed"]) -> Refine:
    """The change of borders that was asked for; loaded when it is."""
    from ..inference.refinement import refine_labels

    return lambda image, labels, spacing: refine_labels(image, labels, spacing, method)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Say before a long run, not after it, that the results have no place; leave no folder behind that stayed empty."""
    new = not os.path.lexists(folder)
    try:
        try:
            _try_to_write(folder)
        except FileNotFoundError:
            # Another run may have removed it, as it stayed empty there.
            _try_to_write(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield
    finally:
        if new:
            with suppress(OSError):
                folder.rmdir()


def _try_to_write(folder: Path) -> None:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without a name on most systems: runs into one folder don't meet.
    with TemporaryFile(dir=folder, prefix=".medinfer-"):
        remove_abandoned(folder)


def _check(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from .checking import check
    from .image_sets import named_files

    further = named_files(options.input)
    return OK if check(options.model, options.scan, options.picture, console, further) else SCAN_FAILED


def _score(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from .score_command import score_command

    return score_command(options, console, stopped, outputs)


def _devices(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..backends import available

    for place in available():
        able = ", ".join(place.precisions) if place.usable else "not usable"
        console.say(f"{place.backend:<12} {place.device:<8} {able} ({place.reason})")
        console.event("device", asdict(place))
    return OK


_DOES = {
    **dict.fromkeys(SCAN_COMMANDS, _analyse),
    "models": models_command, "fetch": fetch_command, "add": add_command, "check": _check, "lock": lock_command,
    "remove": remove_command, "devices": _devices, "score": _score,
}


@contextmanager
def _warnings_told(console: Console) -> Iterator[None]:
    """What an output warns of (no pictures without OpenGL) reaches the user, not only the log file."""

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.say(f"note: {record.getMessage()}")

    handler, loggers = Told(logging.WARNING), [logging.getLogger(name) for name in ("medinfer", "medslicer")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event: the run ends between two tiles and cleans up. A second one ends it at once."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
