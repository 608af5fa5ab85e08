"""Fetching one file: with progress, cancel, resume, proxy and checksums; the file is complete or absent."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..atomic_files import output_error, write_text
from ..errors import Cancelled, DownloadError, OutputError
from .package import digest_of, sha256_of

Progress = Callable[[str, int, int], None]

_PIECE = 1 << 18
_TIMEOUT_S = 30
# A server that breaks off is asked so often for the rest, as long as some of it came.
_MOST_TRIES = 20


def download(
    url: str, target: Path, sha256: str = "", *, size: int = 0, checksum: str = "", progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Fetch `url` into `target` unless it is there already; only a whole file of that content ever gets that name.

    sha256, checksum (“md5:…”, “sha1:…”): of the content; empty: not known, so that what the server calls whole is
    taken. size: bytes expected, more is refused; 0: as the server says. What an interrupted run left (`target.part`) is
    continued, if the server still has the same file. Proxies are taken from the environment (HTTPS_PROXY). An address
    with encryption never leads to one without. Raises DownloadError, OutputError, Cancelled.
    """
    if sha256 and target.is_file() and sha256_of(target) == sha256:
        return target
    part = _Part(target.with_name(target.name + ".part"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, size, progress, cancel)
        kind = _differing(part.path, sha256, checksum)
        if kind is not None:
            part.remove()
            raise DownloadError(
                f"{url} is not the file in the catalogue (its {kind} differs), so nothing was installed; "
                "try again, and if it fails again, ask the model's authors."
            )
        os.replace(part.path, target)
        part.remove()
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise DownloadError(f"{url} could not be fetched ({reason}); check the connection and try again.") from error
    except OSError as error:
        raise output_error(target, error) from error
    return target


class _Part:
    """What came so far, and beside it what the server called that version of the file (its ETag)."""

    def __init__(self, path: Path) -> None:
        self.path, self._version = path, path.with_name(path.name + ".version")

    @property
    def have(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str:
        return self._version.read_text(encoding="latin-1") if self._version.is_file() else ""

    def begin(self, version: str) -> None:
        """Keep the version of a file that is fetched from its start."""
        # A weak one may stand for other bytes.
        if version and not version.startswith("W/"):
            write_text(self._version, version)
        else:
            self._version.unlink(missing_ok=True)

    def remove(self) -> None:
        for path in (self.path, self._version):
            path.unlink(missing_ok=True)


def _fetch(
    url: str, part: _Part, size: int, progress: Progress | None, cancel: Callable[[], bool] | None
) -> None:
    if size and part.have > size:
        part.remove()
    if size and part.have == size:
        return
    for _ in range(_MOST_TRIES):
        before = part.have
        whole = _fetch_rest(url, part, size, progress, cancel)
        if part.have >= whole:
            return
        if part.have <= before:
            break
    raise DownloadError(f"The download of {url} stopped after {part.have} of {whole} bytes; run it again to continue.")


def _fetch_rest(
    url: str, part: _Part, size: int, progress: Progress | None, cancel: Callable[[], bool] | None
) -> int:
    """Append what comes; returns how many bytes the whole file has. Raises DownloadError, OutputError, Cancelled."""
    have = part.have if size or part.version else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and part.version:
        headers["If-Range"] = part.version
    with _OPENER.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:
        # A server that knows no ranges, or has another file by now, answers 200 with the whole: start over.
        resumed = answer.status == 206
        done = have if resumed else 0
        coming = int(answer.headers.get("Content-Length") or 0)
        whole = size or done + coming
        _check_room(part.path, whole - done)
        if not resumed:
            part.begin(answer.headers.get("ETag") or "")
        with part.path.open("ab" if resumed else "wb") as stream:
            while piece := _next_piece(answer):
                if cancel is not None and cancel():
                    raise Cancelled("The download was cancelled; run it again to continue where it stopped.")
                done += len(piece)
                if whole and done > whole:
                    raise DownloadError(f"{url} is larger than the {whole} bytes expected; nothing was installed.")
                stream.write(piece)
                if progress is not None:
                    progress("download", done, max(whole, done))
    return whole or done


def _next_piece(answer: Any) -> bytes:
    """The next bytes; none where the connection broke off, so that the rest can be asked for."""
    try:
        piece: bytes = answer.read(_PIECE)
    except (HTTPException, ConnectionError, TimeoutError):
        return b""
    return piece


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OutputError(
            f"{path.parent} has {free / 1e6:.0f} MB free, but {needed / 1e6:.0f} MB are still to come: free some space."
        )


def _differing(path: Path, sha256: str, checksum: str) -> str | None:
    """Which of the sums that are known is not the file's; None: all are."""
    known = {"sha256": sha256, checksum.partition(":")[0]: checksum.partition(":")[2]}
    return next((kind for kind, wanted in known.items() if wanted and digest_of(path, kind) != wanted), None)


class _NoWayToPlainText(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("it leads to an address without encryption")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_NoWayToPlainText)
