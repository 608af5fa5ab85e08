"""A command of `medinfer` in a process next to Slicer."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medinfer.backends import Available
from medinfer.errors import MedInferError, ScanError
from medinfer.scans.nifti import nifti_header
from medinfer.volume import Volume

from ..models.dependencies import Dependency, missing, missing_text
from .child import Child, fresh_folder
from .handover import Handover


class Errand:
    """One command of `medinfer` in a separate process: `start` it, call `step` regularly until it is `over`,
    then `close` it.

    problem: a sentence for the user where it failed, else "". cancelled: whether it was stopped by `cancel`.
    share: 0 … 1 of a download, None where it has not begun. said: what the command told. devices: what it listed.
    added: id and task of the model that it installed. network: the facts of a network that it looked at, as
    `medinfer.importers.bare_network.Facts` has them. stopped: what is told where it was stopped.
    """

    stopped = "Stopped; nothing was installed."

    def __init__(self, command: str, *arguments: str, options: Sequence[str] = (), needs: Sequence[str] = ()) -> None:
        self.problem = ""
        self.share: float | None = None
        self.said: tuple[str, ...] = ()
        self.devices: tuple[Available, ...] = ()
        self.added = ("", "")
        self.network: Mapping[str, Any] = {}
        self.over = self.cancelled = False
        # What a user gave is never taken for an option.
        given = ["--", *arguments] if arguments else []
        self._arguments = ["-m", "medinfer", command, "--json", *options, *given]
        self._needs = tuple(needs)
        self._child: Child | None = None
        self._folder: Path | None = None
        self._asked_to_stop = False

    def missing(self) -> tuple[Dependency, ...]:
        """The packages that must be installed before it can start."""
        return missing(converters=self._needs)

    def start(self) -> None:
        """Raises MedInferError: something is `missing`, or no temporary folder or process can be made."""
        needs = self.missing()
        if needs:
            raise MedInferError(missing_text(needs))
        self._folder = fresh_folder()
        try:
            self._begin(self._folder)
        except MedInferError:
            self.close()
            raise

    def _begin(self, folder: Path) -> None:
        """Raises MedInferError."""
        self._launch(folder)

    def _launch(self, folder: Path) -> None:
        """Raises MedInferError where the process cannot be started."""
        self._child = Child(self._arguments, folder)
        self._child.start()

    def step(self) -> bool:
        """Read its new events without waiting; returns whether there were any."""
        if self.over or self._child is None:
            return False
        ended = not self._child.running  # asked first: what it told before its end is there then
        told = False
        while events := self._child.poll():
            told = True
            for event in events:
                self._hear(event)
        if ended:
            self._end(self._child)
        return told or ended

    def cancel(self) -> None:
        """Stop it within two seconds; what was downloaded so far is kept for the next time."""
        self._asked_to_stop = True
        if self._child is not None:
            self._child.cancel()

    def close(self) -> None:
        """End it if it still runs, and delete what it wrote beside; the log of a crash stays."""
        if self._child is not None and self._child.running:
            self._child.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _hear(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "message", "text": str(text)}:
                self.said += (text,)
            case {"event": "progress", "done": int(done), "total": int(total)} if total > 0:
                self.share = min(1.0, done / total)
            case {"event": "error", "text": str(text)}:
                self.problem = text
            case {"event": "added", "id": str(model), "task": str(task)}:
                self.added = (model, task)
            case {"event": "network"}:
                self.network = event
            case {"event": "device", "backend": str(backend), "device": str(device), "precisions": list(able)}:
                self.devices += (Available(backend, device, tuple(able), str(event.get("reason", ""))),)

    def _end(self, child: Child) -> None:
        self.over = True
        if child.exit_code == 0:
            self.problem = ""
        elif self._asked_to_stop:
            self.cancelled, self.problem = True, ""
        elif not self.problem:
            self.problem = f"The process ended unexpectedly ({child.exit_code}); its log is {child.log_file}."
            self._folder = None  # the log stays


class Fetch(Errand):
    """A download, whose part is kept."""

    stopped = "Stopped; the part already fetched is kept for the next time."


class Preview(Errand):
    """What a network that is not added yet would see of a scan. picture: a PNG file, until the errand is closed."""

    def __init__(self, source: Path, options: Sequence[str], scan: Volume, needs: Sequence[str] = ()) -> None:
        super().__init__("add", str(source), options=options, needs=needs)
        self.picture: Path | None = None
        self._scan = scan
        self._handover: Handover | None = None

    def _begin(self, folder: Path) -> None:
        # With the NIfTI header before them, the voxels are a scan's file.
        try:
            header = nifti_header(self._scan)
        except ValueError as error:
            what = f"{self._scan.name} cannot be previewed ({error})"
            raise ScanError(f"{what}; convert it to 16-bit integers.") from None
        scan, self.picture = folder / "scan.nii", folder / "seen.png"
        at = self._arguments.index("--json") + 1
        self._arguments[at:at] = ["--preview", str(scan), "--picture", str(self.picture)]
        self._handover = Handover(self._scan.voxels, scan, header)
        self._handover.start()

    def step(self) -> bool:
        handover, folder = self._handover, self._folder
        if self.over or handover is None or folder is None:
            return super().step()
        try:
            if self._asked_to_stop:
                self.over = self.cancelled = True
            elif handover.step():
                self._handover = None
                self._launch(folder)
        except MedInferError as error:
            self.over, self.problem = True, str(error)
        return True

    def close(self) -> None:
        if self._handover is not None:
            self._handover.abandon()
        super().close()
