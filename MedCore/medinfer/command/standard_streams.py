"""Standard streams that outlast their reader: a closed pipe, a full disk or a narrow encoding costs words, not the run.

Only for a process of our own: `main` calls it where it was started from a shell.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

# What an encoding without them shows instead; any other character becomes its escape (\\u5c71).
_PLAIN = {
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "“": '"', "”": '"', "‘": "'", "’": "'", "³": "3", "²": "2",
    "±": "+-", "→": "->", "≥": ">=", "≤": "<=", "·": ".",
}
_AS_PLAIN = "medinfer-plain"


def hold_standard_streams() -> None:
    """Make standard output and error safe to print to, whatever they are. Where one is closed, nothing is shown."""
    codecs.register_error(_AS_PLAIN, _in_plain_letters)
    # Else the first file that is opened gets the descriptor, and what a library prints goes into it.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _held(sys.stdout, 1)
    sys.stderr = _held(sys.stderr, 2)


def _held(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    encoding = "utf-8"
    if stream is not None:
        encoding = stream.encoding or encoding
        if isinstance(stream, io.TextIOWrapper) and sys.platform == "win32" and stream.isatty():
            # A console of Windows takes its text another way, in any language.
            stream.reconfigure(errors=_AS_PLAIN)
            return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(descriptor)), encoding, _AS_PLAIN, line_buffering=True
    )


class _Lasting(io.RawIOBase):
    """A descriptor for writing. From the first failure on it leads nowhere, for all who write to it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        piece = memoryview(data)  # type: ignore[arg-type]
        try:
            return os.write(self._descriptor, piece)
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._descriptor)
                os.close(nowhere)
            return piece.nbytes


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: the nearest plain letters, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter) or ascii(letter)[1:-1] for letter in letters), error.end
