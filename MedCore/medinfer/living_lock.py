"""A lock file that is held as long as its process lives: the system lets go of it, however the process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold `path` (made where it is not there), and remove it at the end; whether that could be done.

    False: another process holds it, or its disk knows no locks. Raises OSError where the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    mine = False
    try:
        with suppress(OSError):
            _take(descriptor)
            # Another process may have held and removed it meanwhile: then this is no longer the file of that name.
            mine = os.path.samestat(os.fstat(descriptor), os.stat(path))
        yield mine
    finally:
        # Windows removes no open file; elsewhere it goes first, or another process could take what is about to go.
        if sys.platform == "win32":
            os.close(descriptor)
        if mine:
            with suppress(OSError):
                path.unlink()
        if sys.platform != "win32":
            os.close(descriptor)
