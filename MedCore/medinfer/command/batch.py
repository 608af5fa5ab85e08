"""One model over many scans: a bad scan is told and does not stop the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import Cancelled, MedInferError, OutputError, ScanError
from ..findings import Findings
from ..inference.pipeline import PackageSession, run
from ..inference.segments import Refine
from ..library.package import ModelPackage
from ..scans.reading import ScanSource, find_scans
from .console import Console, findings_table
from .label_names import renamed
from .results import Output, Written, results_before, write_results

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What became of the scans, by name."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What to do with every scan. names: the scheme whose names segments get; refine: see `run`; overlap: what
    `with_overlap` made of the package."""

    package: ModelPackage
    session: PackageSession
    folder: Path
    outputs: Mapping[str, Output]
    threshold: float | None = None
    overwrite: bool = False
    names: str | None = None
    refine: Refine | None = None
    overlap: float | None = None


def run_batch(paths: Sequence[Path], batch: Batch, console: Console, cancel: Callable[[], bool]) -> Tally:
    """Run `batch` over every scan in `paths` (files, or folders with DICOM series or image files).

    Only Cancelled leaves this function; any other error of a scan is told at once and kept in the tally.
    """
    tally = Tally()
    for path in paths:
        try:
            sources: Sequence[ScanSource] = find_scans(path)
        except MedInferError as error:
            _failed(str(path), error, tally, console)
            continue
        for source in _suiting(sources, batch, console):
            _one(source, batch, console, cancel, tally)
    return tally


def _suiting(sources: Sequence[ScanSource], batch: Batch, console: Console) -> Sequence[ScanSource]:
    """What of a study the model was made for. The rest is told and is no failure, as long as something suits."""
    wanted = [one.prepare.modality for one in batch.package.manifest.passes]

    def suits(source: ScanSource) -> bool:
        modality = source.series.modality if source.series else ""
        return not modality or all(modality in those for those in wanted)

    suiting = [source for source in sources if suits(source)]
    if not any(not source.problem for source in suiting):
        return sources
    for source in sources:
        if source.series and not suits(source):
            console.say(f"{source.name}: note: it is {source.series.modality}, which this model was not made for; "
                        "it was not run")
    return suiting


def _one(source: ScanSource, batch: Batch, console: Console, cancel: Callable[[], bool], tally: Tally) -> None:
    name = source.name
    try:
        name, before = _place(source, batch, tally)
        if before is not None and not batch.overwrite:
            _check_same(name, before, batch)
            console.say(f"{name}: done before, skipped (--overwrite runs it again)")
            console.event("skipped", {"scan": name})
            tally.skipped.append(name)
            return
        findings, written, seconds = _find(name, source, batch, console, cancel)
    except Cancelled:
        raise
    except MedInferError as error:
        _failed(name, error, tally, console)
        return
    except MemoryError:
        _failed(name, ScanError(f"{name} does not fit into memory; run it on a machine with more."), tally, console)
        return
    tally.done.append(name)
    _tell(name, findings, written, seconds, console)


def _place(source: ScanSource, batch: Batch, tally: Tally) -> tuple[str, Findings | None]:
    """The scan's folder name and the results that it holds already; numbered where another scan has the name."""
    taken = {*tally.done, *tally.skipped, *tally.failed}
    for number in count(1):
        name = source.name if number == 1 else f"{source.name}-{number}"
        if name in taken:
            continue
        before = results_before(batch.folder, name)
        if before is None or before.run.get("source") == _identity(source):
            return name, before
    raise AssertionError("count() never ends")


def _identity(source: ScanSource) -> str:
    """What tells two scans of the same name apart in a later run."""
    path = str(source.path.resolve())
    return f"{path}#{source.series.uid}" if source.series else path


def _check_same(name: str, before: Findings, batch: Batch) -> None:
    wanted = {"threshold": batch.package.threshold(batch.threshold), **_options(batch)}
    others = [key for key, value in wanted.items() if before.run.get(key) != value]
    if before.model != batch.package.reference or others:
        what = {"threshold": "at another threshold", "names": "under other names", "refined": "with other borders",
                "overlap": "with another overlap of tiles"}
        how = f" {what[others[0]]}" if before.model == batch.package.reference else ""
        raise OutputError(
            f"{batch.folder / name} holds results of {before.model or 'another model'}{how}; "
            "give another folder, or --overwrite, which deletes them."
        )


def _options(batch: Batch) -> dict[str, Any]:
    """What was asked for besides the threshold, as it is kept with the results; nothing where nothing was."""
    names = None if batch.names is None else batch.names.casefold()
    return {"names": names, "refined": True if batch.refine else None, "overlap": batch.overlap}


def _find(
    name: str, source: ScanSource, batch: Batch, console: Console, cancel: Callable[[], bool]
) -> tuple[Findings, Written, dict[str, float]]:
    """Read, run, write; with the seconds of each stage."""
    console.progress(name, "read", 0, 1)
    begin = time.perf_counter()
    volume = source.read()
    read_s = time.perf_counter() - begin
    for note in volume.notes:
        console.say(f"{name}: note: {note}")
    findings = run(
        volume, batch.package, batch.session, threshold=batch.threshold, refine=batch.refine, cancel=cancel,
        progress=lambda stage, done, total: console.progress(name, stage, done, total),
    )
    for note in findings.notes[len(volume.notes) :]:
        console.say(f"{name}: note: {note}")
    seconds = {"read": round(read_s, 3), **findings.run["seconds"]}
    asked = {key: value for key, value in _options(batch).items() if value is not None}
    how = {**findings.run, **asked, "source": _identity(source), "seconds": seconds}
    findings = replace(findings, scan=name, run=how)
    manifest = batch.package.manifest
    if batch.names is not None:
        findings, manifest = renamed(findings, manifest, batch.names)
    console.progress(name, "write", 0, 1)
    begin = time.perf_counter()
    written = write_results(batch.folder, name, volume, findings, manifest, batch.outputs)
    return findings, written, {**seconds, "write": time.perf_counter() - begin}


def _tell(name: str, findings: Findings, written: Written, seconds: Mapping[str, float], console: Console) -> None:
    how = findings.run
    place = f"{how['runtime']} on {how['device']} in {how['precision']}"
    console.say(f"{name}: {_count(findings)} found by {findings.model}, {place}")
    for line in findings_table(findings):
        console.say(line)
    console.say("  seconds: " + ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items()))
    files = [str(file.relative_to(written.folder)) for file in written.files]
    console.say(f"  in {written.folder}: " + ", ".join(files))
    console.event("result", {
        "scan": name, "folder": str(written.folder), "files": files, "found": findings.found,
        "run": dict(how), "seconds": dict(seconds),
    })


def _count(findings: Findings) -> str:
    return f"{findings.found} of {len(findings.landmarks)}" if findings.landmarks else str(findings.found)


def _failed(name: str, error: MedInferError, tally: Tally, console: Console) -> None:
    log.debug("%s failed", name, exc_info=error)
    tally.failed[name] = str(error)
    console.error(name, str(error))
