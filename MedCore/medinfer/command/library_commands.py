"""What the commands on the model library do: models, fetch, remove. Each returns the exit code 0, or raises."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping
from dataclasses import asdict

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
        locked = ", locked" if entry.package is not None and entry.package.locked else ""
        console.say(f"{entry.id} {manifest.version}  [{entry.origin}{locked}]  {manifest.title}")
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


def remove_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    from ..library.library import remove

    remove(options.id)
    console.say(f"{options.id} was removed")
    return 0
