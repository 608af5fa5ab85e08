"""An opened package, with its networks ready to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from ..backends import Session, mean_of, open_session
from ..library.package import ModelPackage


class PackageSession:
    """An opened package: `passes` holds one session per pass, by name. Use it as a context manager, or `close` it."""

    def __init__(self, passes: Mapping[str, Session]) -> None:
        self.passes = dict(passes)

    @property
    def runtime(self) -> str:
        """The runtime, or the passes' runtimes where they differ ("onnxruntime + openvino"); so for the next two."""
        return _joined(session.runtime for session in self.passes.values())

    @property
    def device(self) -> str:
        """Where the networks really run."""
        return _joined(session.device for session in self.passes.values())

    @property
    def precision(self) -> str:
        """In what they really compute."""
        return _joined(session.precision for session in self.passes.values())

    def close(self) -> None:
        """Free the networks."""
        for session in self.passes.values():
            session.close()

    def __enter__(self) -> PackageSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _joined(words: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(words))


def open_package(
    package: ModelPackage, *, backend: str = "auto", device: str = "auto", precision: str = "auto",
    threads: int | None = None, key_file: Path | None = None,
) -> PackageSession:
    """Check the package's files and open its networks. Raises PackageError and DeviceError; never falls back.

    key_file: with the key of a locked package; by default it is looked for (see `library.keys`). Locked networks are
    unlocked in memory only.
    """
    read = package.reader(key_file)
    with ExitStack() as opened:
        sessions = {}
        for one in package.manifest.passes:
            network = one.network
            names = list(dict.fromkeys(entry.name for entry in network.inputs))
            members = [
                opened.enter_context(open_session(
                    files, inputs=names, outputs=network.outputs, backend=backend, device=device, precision=precision,
                    threads=threads, load_bytes=read, rank=2 + network.dimensions,
                ))
                for files in package.network_files(network)
            ]
            sessions[one.name] = opened.enter_context(mean_of(members))
        opened.pop_all()
    return PackageSession(sessions)
