"""`medinfer add`: install what was given, or only look at it."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PackageError
from .arguments import command_for
from .console import Console
from .results import Output

if TYPE_CHECKING:
    from ..importers.questions import Given


def add_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    """Returns the exit code 0, or raises MedInferError."""
    if options.describe:
        _describe(options.source, console)
    elif options.preview is not None:
        _preview(options, _given(options, console, stopped), console)
    elif options.picture is not None:
        raise PackageError("--picture names the file for the picture of --preview SCAN; add that.")
    else:
        _install(options, _given(options, console, stopped), console, stopped)
    return 0


def _given(options: argparse.Namespace, console: Console, stopped: threading.Event) -> Given:
    """What was said by options, and where more can be asked."""
    from ..importers.bare_fields import FIELDS
    from ..importers.questions import Given
    from .terminal import asker

    words = {field.name: getattr(options, field.name) for field in FIELDS}
    said = {name: word for name, word in words.items() if word is not None}
    if options.only and not options.gives:
        raise PackageError("--only chooses the labels for --gives points or --gives boxes; add that.")
    only = tuple(name.strip() for name in (options.only or "").split(",") if name.strip())
    return Given(said, None if options.json else asker(stopped), console.say, options.gives, only,
                 options.xor_key)


def _install(options: argparse.Namespace, given: Given, console: Console, stopped: threading.Event) -> None:
    from ..importers.adding import add
    from ..library.library import entries

    before = {entry.id: entry for entry in entries() if entry.package}
    package = add(options.source, options.format, given, cancel=stopped.is_set)
    if package.id in before:
        console.say(f"note: it takes the place of the {before[package.id].origin} model of the same id")
    console.say(f"{package.id} {package.manifest.version} is installed in {package.folder}")
    console.event("added", {"id": package.id, "task": package.manifest.task})
    if not options.json:  # the panel, which reads JSON, has a button for it
        command = command_for(package.manifest.task, package.id)
        console.say(f"run it with: medinfer {command} SCAN -o FOLDER --model {package.id}")


def _describe(source: Path, console: Console) -> None:
    from ..importers.bare_package import told_by
    from ..importers.looking import bare_network, look_over

    network = bare_network(source)
    console.say(told_by(network))
    seen = look_over(network, {})
    for name, usual in seen.usual.items():
        console.say(f"  --{name:<12} {'must be said' if usual is None else usual}")
    console.event("network", {
        "path": str(network.path), "declared": network.declared, "channels": network.channels, "edge": network.edge,
        "activation": network.activation, "images": network.images,
    })


def _preview(options: argparse.Namespace, given: Given, console: Console) -> None:
    from ..importers.looking import tried
    from ..scans.reading import read_volume
    from .seeing import show

    with tried(options.source, options.format, given) as package:
        show(package, read_volume(options.preview), options.picture or Path(f"{package.id}.png"), console)
    console.say("nothing was installed")
