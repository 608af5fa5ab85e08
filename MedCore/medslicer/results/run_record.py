"""What a result must know besides its nodes: which model ran, how, and what the names of its findings are elsewhere.

It is kept as JSON on the result's table, so that a scene loaded years later, where the model is not installed, can
still be reported and renamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from medinfer.findings import Findings

from ..nodes.named_segments import named_segments, names_in_schemes

FORMAT = 1
TASKS = ("detect", "landmark", "segment")


@dataclass(frozen=True)
class ModelNote:
    """What a reader of a report must know of the model."""

    id: str
    version: str
    title: str
    licence: str = ""
    authors: str = ""
    citation: str = ""
    intended_use: str = ""
    limits: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run.

    task: "detect", "landmark" or "segment". made: when, ISO 8601 with the offset from UTC. device, precision, runtime:
    what it ran on. threshold: the least score it reported. seconds: all stages together. notes: what the user should
    know about this scan. titles: of the segments, in the table's order, as the model names them; names: the same in
    other schemes, by scheme.
    """

    task: str
    scan: str
    made: str
    model: ModelNote
    runtime: str = ""
    device: str = ""
    precision: str = ""
    threshold: float = 0.0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    names: tuple[Mapping[str, str], ...] = ()

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes in which segments have names, in the order in which they appear."""
        return tuple(dict.fromkeys(scheme for others in self.names for scheme in others))

    @staticmethod
    def from_json(text: str) -> RunRecord:
        """The inverse of `to_json`; fields that this version doesn't know are left out.

        Raises ValueError where it is no such record.
        """
        try:
            data = json.loads(text)
            known = {entry.name: data[entry.name] for entry in fields(RunRecord) if entry.name in data}
            note = data["model"]
            model = ModelNote(**{entry.name: note[entry.name] for entry in fields(ModelNote) if entry.name in note})
            lists = {name: known.get(name, []) for name in ("notes", "titles", "names")}
            record = RunRecord(**{**known, "model": model, **{name: tuple(lists[name]) for name in lists}})
            blank = RunRecord("", "", "", ModelNote("", "", ""))
            if not (
                _alike(record, blank) and _alike(model, blank.model) and record.task in TASKS
                and all(isinstance(entries, list) for entries in lists.values())
            ):
                raise TypeError("a field has the wrong type")
            return record
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not a record of a run ({error})") from None


def _alike(one: Any, other: Any) -> bool:
    """Whether all fields of two records are of the same kind."""
    pairs = [(getattr(one, entry.name), getattr(other, entry.name)) for entry in fields(other)]
    return all(isinstance(a, (int, float) if isinstance(b, float) else type(b)) for a, b in pairs)


def record_of(findings: Findings, manifest: Any, scan: str) -> RunRecord:
    """The record of the run that made `findings` with the package of `manifest` (a `medinfer.manifest.Manifest`)."""
    run, card = findings.run, manifest.card
    seconds: Any = run.get("seconds", 0.0)
    return RunRecord(
        task=manifest.task,
        scan=scan,
        made=datetime.now().astimezone().isoformat(timespec="seconds"),
        model=ModelNote(
            manifest.id, manifest.version, manifest.title, card.licence, card.authors, card.citation,
            card.intended_use, card.limits,
        ),
        runtime=_words(run, "runtime"),
        device=_words(run, "device"),
        precision=_words(run, "precision"),
        threshold=float(run.get("threshold") or 0.0),
        seconds=float(sum(seconds.values()) if isinstance(seconds, Mapping) else seconds or 0.0),
        notes=tuple(findings.notes),
        titles=tuple(named.title for named in named_segments(findings.segments, manifest.labels)),
        names=names_in_schemes(findings.segments, manifest.labels),
    )


def _words(run: Mapping[str, Any], key: str) -> str:
    return str(run.get(key) or "")
