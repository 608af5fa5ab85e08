"""What the commands on the model library do: models, fetch, add, remove. Each returns the exit code 0, or raises."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping
from dataclasses import asdict

from ..errors import PackageError
from .arguments import command_for
from .console import Console
from .results import Output


def models_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..library.library import entries

    if options.public:
        return public_models_command(console)
    for entry in entries():
        manifest = entry.package.manifest if entry.package else None
        console.event("model", {
            "id": entry.id, "origin": entry.origin, "problem": entry.problem,
            "manifest": manifest.model_dump(mode="json") if manifest else None,
        })
        if manifest is None:
            offer = entry.download
            title = f"{offer.title}, {offer.size / 1e6:.1f} MB, {offer.licence}" if offer else entry.problem
            console.say(f"{entry.id}  [{entry.origin}]  {title}")
            if offer:
                console.say(f"    {offer.homepage} at {offer.commit[:12]}; get it with: medinfer fetch {entry.id}")
            continue
        card = manifest.card
        console.say(f"{entry.id} {manifest.version}  [{entry.origin}]  {manifest.title}")
        lines = [card.summary, f"Use: {card.intended_use}", f"Limits: {card.limits}"]
        lines += [f"Trained on: {card.training_data}"]
        lines += [f"Measured: {figure.what}: {figure.value} ({figure.data})" for figure in card.measured]
        lines += [f"Licence: {card.licence}", *([card.homepage] if card.homepage else [])]
        for line in lines:
            console.say(f"    {line}")
    return 0


def public_models_command(console: Console) -> int:
    from ..library.library import entries, public_models

    here = {entry.id for entry in entries() if entry.package}
    for offer in public_models().values():
        console.event("public model", {**asdict(offer), "installed": offer.id in here})
        state = "installed" if offer.id in here else "not to fetch" if offer.how else "to fetch"
        console.say(f"{offer.id}  [{state}]  {offer.title}")
        size = f"{offer.size / 1e6:.0f} MB" if offer.size else "size not published"
        lines = [offer.purpose, f"For: medinfer {offer.task}; licence: {offer.licence}; {size}"]
        lines += [offer.homepage, f"Checked: {offer.checked}"]
        lines += [offer.how] if offer.how else [f"Get it with: medinfer fetch {offer.id}"]
        for line in lines:
            console.say(f"    {line}")
    return 0


def fetch_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..importers.fetching import fetch, offered
    from .terminal import asker

    offer = offered(options.id)
    ask = None if options.json else asker(stopped)

    def agree(question: str) -> bool:
        if options.agree:
            console.say(f"agreed: {question}")
            return True
        return ask is not None and ask(f"{question} Fetch it? [y/N] ").strip().lower() in ("y", "yes")

    if not offer.how:
        size = f"{offer.size / 1e6:.1f} MB" if offer.size else "it"
        console.say(f"fetching {size} from {offer.url} (licence {offer.licence})")
    with console:
        package = fetch(
            options.id, agree=agree, cancel=stopped.is_set,
            progress=lambda stage, done, total: console.progress(options.id, stage, done, total),
        )
    console.say(f"{package.id} {package.manifest.version} is installed in {package.folder}")
    return 0


def add_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..importers.adding import add
    from ..importers.bare_fields import FIELDS
    from ..importers.questions import Given
    from ..library.library import entries
    from .terminal import asker

    before = {entry.id: entry for entry in entries() if entry.package}
    words = {field.name: getattr(options, field.name) for field in FIELDS}
    said = {name: word for name, word in words.items() if word is not None}
    ask = None if options.json else asker(stopped)
    if options.only and not options.gives:
        raise PackageError("--only chooses the labels for --gives points or --gives boxes; add that.")
    only = tuple(name.strip() for name in (options.only or "").split(",") if name.strip())
    package = add(options.source, options.format, Given(said, ask, console.say, options.gives, only))
    if package.id in before:
        console.say(f"note: it takes the place of the {before[package.id].origin} model of the same id")
    console.say(f"{package.id} {package.manifest.version} is installed in {package.folder}")
    if not options.json:  # the panel, which reads JSON, has a button for it
        command = command_for(package.manifest.task, package.id)
        console.say(f"run it with: medinfer {command} SCAN -o FOLDER --model {package.id}")
    return 0


def remove_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..library.library import remove

    remove(options.id)
    console.say(f"{options.id} was removed")
    return 0
