"""Model-library tasks in a process next to Slicer: fetching, adding and removing a model, listing devices."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medinfer.backends import Available
from medinfer.errors import MedInferError
from medinfer.importers.sources import foreign_format, kind_of_file, network_in
from medinfer.library.places import is_package

from ..models.dependencies import Dependency, missing, missing_text
from .child import Child, fresh_folder

_KERAS = (".h5", ".hdf5")
_NOTHING: Mapping[str, str] = {}


class Errand:
    """One command of `medinfer` in a separate process: `start` it, call `step` regularly until it is `over`,
    then `close` it.

    problem: a sentence for the user where it failed, else "". cancelled: whether it was stopped by `cancel`.
    share: 0 … 1 of a download, None where it has not begun. said: what the command told. devices: what it listed.
    """

    def __init__(self, command: str, *arguments: str, options: Sequence[str] = (), needs: Sequence[str] = ()) -> None:
        self.problem = ""
        self.share: float | None = None
        self.said: tuple[str, ...] = ()
        self.devices: tuple[Available, ...] = ()
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
        self._child = Child(self._arguments, self._folder)
        try:
            self._child.start()
        except MedInferError:
            self.close()
            raise

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


def fetch(model: str, needs: Sequence[str] = (), *, agreed: bool = False) -> Errand:
    """Download the catalogue's or the public model of this id and install it. needs: `ShelfModel.needs` of the model.
    agreed: whether the user has agreed to its conditions."""
    return Errand("fetch", model, options=("--agree",) if agreed else (), needs=needs)


def add(source: Path | str, words: Mapping[str, str] = _NOTHING) -> Errand:
    """Install a model from a folder with a `model.json`, from a .zip of one, from nnU-Net's results, a MONAI bundle, a
    Keras file (.h5), or a network (ONNX, TorchScript). words: what that network does not tell, by the fields' names."""
    path = Path(source).absolute()
    if path.suffix.lower() in _KERAS and path.is_file():
        return Errand("add", str(path), options=("--format", "keras-slab"), needs=("h5py", "onnx"))
    options = [f"--{name}={said}" for name, said in words.items()]
    return Errand("add", str(path), options=options, needs=_converters(path))


def is_bare_network(source: Path | str) -> bool:
    """Whether it is a network, or a folder with one, that does not tell what a model must know. Never raises."""
    path = Path(source)
    try:
        if path.is_dir():
            return not _converters(path) and not is_package(path) and network_in(path) is not None
        return kind_of_file(path) in ("onnx", "torchscript")
    except (MedInferError, OSError):
        return False  # adding it says what is wrong


# What makes a package of another program's model.
_CONVERTERS: Mapping[str | None, tuple[str, ...]] = {
    "nnunet": ("torch", "dynamic_network_architectures"), "monai": ("torch", "monai"),
}


def _converters(path: Path) -> tuple[str, ...]:
    try:
        return () if is_package(path) else _CONVERTERS.get(foreign_format(path), ())
    except (OSError, zipfile.BadZipFile):
        return ()  # adding it says what is wrong


def remove(model: str) -> Errand:
    """Delete the installed model of this id."""
    return Errand("remove", model)


def list_devices() -> Errand:
    """List the devices that networks can run on; the answer is in `devices`. It takes a few seconds."""
    return Errand("devices")
