"""`medinfer lock`: a copy of a model that runs only with its key."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping
from pathlib import Path

from .console import Console
from .results import Output


def lock_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    """Returns the exit code 0, or raises MedInferError."""
    from ..library.keys import FILE, find_key
    from ..library.library import find_package
    from ..library.locking import lock_package, make_key

    package = find_package(options.model)
    if options.new_key is not None:
        make_key(options.new_key)
        console.say(f"the key is in {options.new_key}: keep a copy, without it the locked model cannot be used")
    key_file = options.new_key or options.key_file
    folder = options.output or Path(f"{package.id}-locked")
    lock_package(package, find_key(package.id, key_file), folder)
    console.say(f"{package.reference} is locked in {folder}; run it with --key-file {key_file}, or set {FILE}")
    return 0
