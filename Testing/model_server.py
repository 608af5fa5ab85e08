"""A server of this machine for one file, as a model's public home would give it: with ranges, or stuck half-way."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Longer than any test waits.
_HOLD_S = 120.0


class ModelServer(http.server.ThreadingHTTPServer):
    """Serves `body`; after `holds_after` bytes it waits for `go_on`. starts: from which byte on it was asked."""

    daemon_threads = True
    body = b""
    holds_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.go_on = threading.Event()
        self.starts: list[int] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.zip"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        self.server.starts.append(start)
        body = self.server.body[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        hold = len(body) if self.server.holds_after is None else self.server.holds_after
        self.wfile.write(body[:hold])
        if hold < len(body):
            self.wfile.flush()
            self.server.go_on.wait(_HOLD_S)
            self.wfile.write(body[hold:])

    def log_message(self, *unused: object) -> None:
        """Quiet."""


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A running one."""
    with ModelServer() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.go_on.set()
            running.shutdown()
