"""A server on this machine with byte ranges, which can break off in the middle."""

from __future__ import annotations

import http.server
from typing import ClassVar


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """Serves files with byte ranges, and can break off in the middle."""

    files: ClassVar[dict[str, bytes]] = {}
    break_after: int | None = None
    asked_ranges: ClassVar[list[str | None]] = []
    # The version of every file; empty: the server knows none.
    version: str = ""

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        wanted = self.headers.get("Range")
        RangeHandler.asked_ranges.append(wanted)
        if body is None:
            self.send_error(404)
            return
        if wanted and self.headers.get("If-Range") not in (None, self.version):
            wanted = None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if self.version:
            self.send_header("ETag", self.version)
        self.end_headers()
        self.wfile.write(body[start : start + self.break_after if self.break_after else None])

    def log_message(self, *unused: object) -> None:
        """Quiet."""
