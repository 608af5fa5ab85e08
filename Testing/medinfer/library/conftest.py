"""A server of files for the tests of the library."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from range_server import RangeHandler


@pytest.fixture
def server() -> Iterator[str]:
    RangeHandler.files, RangeHandler.break_after, RangeHandler.asked_ranges = {}, None, []
    RangeHandler.version = ""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
