"""Fetching one file: with progress, cancel, resume, proxy and sha256; the file is complete or absent."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from ..atomic_files import output_error
from ..errors import Cancelled, DownloadError
from .package import sha256_of

_PIECE = 1 << 18
_TIMEOUT_S = 30


def download(
    url: str, target: Path, sha256: str, *, size: int,
    progress: Callable[[str, int, int], None] | None = None, cancel: Callable[[], bool] | None = None,
) -> Path:
    """Fetch `url` into `target` unless it is there already; only a file of `sha256` ever gets that name.

    size: bytes expected; more is refused. What an interrupted run left (`target.part`) is continued.
    Proxies are taken from the environment (HTTPS_PROXY). Raises DownloadError, OutputError, Cancelled.
    """
    if target.is_file() and sha256_of(target) == sha256:
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, size, progress, cancel)
        if sha256_of(part) != sha256:
            part.unlink()
            raise DownloadError(
                f"{url} is not the file in the catalogue (its sha256 differs), so nothing was installed; "
                "try again, and if it fails again, ask the model's authors."
            )
        os.replace(part, target)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise DownloadError(f"{url} could not be fetched ({reason}); check the connection and try again.") from error
    except OSError as error:
        raise output_error(target, error) from error
    return target


def _fetch(
    url: str, part: Path, size: int,
    progress: Callable[[str, int, int], None] | None, cancel: Callable[[], bool] | None,
) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        # A server that knows no ranges answers 200 with the whole file: start over.
        resumed = answer.status == 206
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as stream:
            while piece := answer.read(_PIECE):
                if cancel is not None and cancel():
                    raise Cancelled("The download was cancelled; run it again to continue where it stopped.")
                done += len(piece)
                if done > size:
                    raise DownloadError(
                        f"{url} is larger than the {size} bytes in the catalogue; nothing was installed."
                    )
                stream.write(piece)
                if progress is not None:
                    progress("download", done, size)
    if done < size:
        raise DownloadError(f"The download of {url} stopped after {done} of {size} bytes; run it again to continue.")


