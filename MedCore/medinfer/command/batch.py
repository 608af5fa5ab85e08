"""One model on many scans: a bad scan is reported and does not stop the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import Cancelled, MedInferError, OutputError, ScanError
from ..findings import Findings
from ..inference.pipeline import PackageSession, run
from ..inference.segments import Refine
from ..library.package import ModelPackage
from ..manifest import Manifest
from ..preparation.hounsfield import in_hounsfield
from ..preparation.images import with_further
from ..scans.reading import ScanSource, find_scans
from ..volume import Volume
from .console import Console, findings_table
from .earlier import Earlier, OutputFolder, folder_name, is_numbered, without_results
from .identity import model_digest, scan_digest
from .image_sets import cases_of, further_files, read_further
from .label_names import renamed
from .results import Output, Written, write_results

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """The outcome of each scan, by name. scans: how many there are; stopped: whether it ended before the last."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    scans: int = 0
    stopped: bool = False

    @property
    def names(self) -> set[str]:
        return {*self.done, *self.skipped, *self.failed}


@dataclass(frozen=True)
class Batch:
    """What to do with every scan. names: the scheme whose names segments get; refine: see `run`; overlap: what
    `with_overlap` made of the package; assume_hu: see `in_hounsfield`; mirroring: see `with_mirroring`;
    further: files of further images by name."""

    package: ModelPackage
    session: PackageSession
    folder: Path
    outputs: Mapping[str, Output]
    threshold: float | None = None
    overwrite: bool = False
    names: str | None = None
    refine: Refine | None = None
    overlap: float | None = None
    assume_hu: bool = False
    mirroring: bool = True
    further: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def model_digest(self) -> str:
        return model_digest(self.package)


@dataclass(frozen=True)
class _Work:
    """A batch under way. results: what lies in its folder; here: by digest, the names of the scans met by now."""

    batch: Batch
    console: Console
    cancel: Callable[[], bool]
    tally: Tally
    results: OutputFolder
    here: dict[str, str] = field(default_factory=dict)


def run_batch(paths: Sequence[Path], batch: Batch, console: Console, cancel: Callable[[], bool]) -> Tally:
    """Run `batch` over every scan in `paths` (files, or folders with DICOM series or image files).

    An error of a scan is reported at once and kept in the tally. `cancel` ends it between two tiles; what was written
    by then stays.
    """
    tally = Tally()
    sources = [source for path in paths for source in _suiting(_found(path, console, tally), batch, console)]
    sources = [*cases_of(sources, batch.package.manifest.images, batch.further)]
    tally.scans = len(sources) + len(tally.failed)
    work = _Work(batch, console, cancel, tally, OutputFolder(batch.folder))
    for source in sources:
        tally.stopped = tally.stopped or cancel()
        if tally.stopped:
            break
        _one(source, work)
    return tally


def _suiting(sources: Sequence[ScanSource], batch: Batch, console: Console) -> Sequence[ScanSource]:
    """What of a study the model was made for. The rest is reported and is not a failure, as long as something suits."""
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


def _found(path: Path, console: Console, tally: Tally) -> Sequence[ScanSource]:
    """The scans in `path`, but for what earlier runs wrote below it."""
    try:
        found = find_scans(path)
        sources, results = without_results(found, path) if path.is_dir() else (found, [])
        if not sources:
            raise ScanError(f"{path} holds only results of earlier runs; choose the folder of the scans.")
    except MedInferError as error:
        _failed(str(path), error, tally, console)
        return ()
    for folder in results:
        console.say(f"note: {folder} holds results of an earlier run and was not searched for scans")
    return sources


def _one(source: ScanSource, work: _Work) -> None:
    name = folder_name(source.name)
    try:
        done = _run_one(name, source, work)
    except Cancelled:
        work.tally.stopped = True
        return
    except Exception as error:
        _failed(name, _as_sentence(name, error), work.tally, work.console)
        return
    if done is not None:
        work.tally.done.append(done)


def _as_sentence(name: str, error: Exception) -> MedInferError:
    """An error of a scan as one for the user."""
    if isinstance(error, MedInferError):
        return error
    if isinstance(error, MemoryError):
        sentence = f"{name} does not fit into memory; use a computer with more."
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        sentence = f"{name} could not be run for an unexpected reason ({what}); run it again with --log FILE and " \
            "report what that file says."
    told = ScanError(sentence)
    told.__cause__ = error
    return told


def _run_one(name: str, source: ScanSource, work: _Work) -> str | None:
    """Read, run and write a scan, and tell it; its name then. None where its results are there already."""
    batch, console = work.batch, work.console
    console.progress(name, "read", 0, 1)
    begin = time.perf_counter()
    images = batch.package.manifest.images
    files = further_files(source.path, images, batch.further)
    volume = with_further(source.read(), images, read_further(files))
    digest = scan_digest(volume)
    seconds = {"read": round(time.perf_counter() - begin, 3)}
    before = work.results.results_of(source, digest)
    if _is_there(name, digest, before, work):
        return None
    place = _place(name, source, before, work)
    # The scene and the pictures show the values that the model saw.
    passes = batch.package.manifest.passes
    volume = in_hounsfield(volume, [one.prepare for one in passes], assume_hu=batch.assume_hu)
    findings = _find(place, volume, batch, console, work.cancel)
    seconds.update(findings.run["seconds"])
    name_given = (source.origin or source.path).name
    identity: dict[str, Any] = {"source": name_given, "scan_digest": digest, "model_digest": batch.model_digest}
    if volume.further:
        identity["images"] = {images[0].name: name_given, **{name: file.name for name, file in files.items()}}
    findings = replace(findings, run={**findings.run, **identity, "seconds": seconds})
    manifest = batch.package.manifest
    if batch.names is not None:
        findings, manifest = renamed(findings, manifest, batch.names)
    console.progress(place, "write", 0, 1)
    begin = time.perf_counter()
    written = _write(place, volume, findings, manifest, work)
    while written is None:
        # Another run into the same folder was quicker: with this scan, or with one of the same name.
        work.results.read_again()
        before = work.results.results_of(source, digest)
        if _is_there(name, digest, before, work):
            return None
        place = _place(name, source, before, work)
        written = _write(place, volume, findings, manifest, work)
    work.results.add(place, findings)
    work.here[digest] = place
    _tell(place, findings, written, {**seconds, "write": time.perf_counter() - begin}, console)
    return place


def _write(name: str, volume: Volume, findings: Findings, manifest: Manifest, work: _Work) -> Written | None:
    """Where the results lie; None where results that were not there before have the name."""
    volume, findings = replace(volume, name=name), replace(findings, scan=name)
    return write_results(
        work.batch.folder, name, volume, findings, manifest, work.batch.outputs, replacing=work.results.knows(name)
    )


def _is_there(name: str, digest: str, before: Sequence[Earlier], work: _Work) -> bool:
    """Whether the scan's results are there already, of this run or of one before; tells it then."""
    if digest in work.here:
        as_what = "" if work.here[digest] == name else f" as {work.here[digest]}"
        _skip(name, f"given twice, done once{as_what}", work)
        return True
    same = next((one for one in before if _difference(one, work.batch) is None), None)
    if same is None or work.batch.overwrite:
        return False
    work.here[digest] = same.name
    numbered = is_numbered(same.name, name)
    as_what = "" if numbered else f" as {same.name}"
    _skip(same.name if numbered else name, f"already done{as_what}, skipped (use --overwrite to run it again)", work)
    return True


def _skip(name: str, why: str, work: _Work) -> None:
    work.console.say(f"{name}: {why}")
    work.console.event("skipped", {"scan": name})
    work.tally.skipped.append(name)


def _place(name: str, source: ScanSource, before: Sequence[Earlier], work: _Work) -> str:
    """The name of the scan's folder: the one that holds its results, or a free one. before: its results.

    Raises OutputError where results of another model, or of other settings, have its name and may not be replaced.
    """
    batch = work.batch
    own = [one for one in before if batch.overwrite or is_numbered(one.name, name)]
    if not own:
        return work.results.free_name(source, work.tally.names)
    different = None if batch.overwrite else _difference(own[0], batch)
    if different is not None:
        raise OutputError(
            f"{batch.folder / own[0].name} holds results of {different}; "
            "choose another folder, or use --overwrite to replace them."
        )
    return own[0].name


_DIFFERENT = {
    "threshold": "at another threshold", "names": "with other label names", "refined": "with other borders",
    "overlap": "with another tile overlap", "assume_hu": "with other values taken for HU",
    "mirroring": "with another choice of mirrored tiles",
    "model_digest": "with other files or other passes in its model.json",
}


def _difference(before: Earlier, batch: Batch) -> str | None:
    """Which model's results they are, and how they differ from what is wanted; None where they don't."""
    findings = before.findings
    if findings.model != batch.package.reference:
        return findings.model or "another model"
    wanted = {
        "threshold": batch.package.threshold(batch.threshold), **_options(batch),
        # Older versions did not keep it.
        **({"model_digest": batch.model_digest} if "model_digest" in findings.run else {}),
    }
    other = next((key for key, value in wanted.items() if findings.run.get(key) != value), None)
    return None if other is None else f"{findings.model} {_DIFFERENT[other]}"


def _options(batch: Batch) -> dict[str, Any]:
    """What was asked for besides the threshold, as it is kept with the results; nothing where nothing was."""
    names = None if batch.names is None else batch.names.casefold()
    refined, assumed = (True if asked else None for asked in (batch.refine, batch.assume_hu))
    mirroring = None if batch.mirroring else False
    return {
        "names": names, "refined": refined, "overlap": batch.overlap, "assume_hu": assumed, "mirroring": mirroring,
    }


def _find(name: str, volume: Volume, batch: Batch, console: Console, cancel: Callable[[], bool]) -> Findings:
    """Run on a volume in HU, and tell what the user should know of the scan."""
    for note in volume.notes:
        console.say(f"{name}: note: {note}")
    findings = run(
        volume, batch.package, batch.session, threshold=batch.threshold, refine=batch.refine, cancel=cancel,
        assume_hu=True,
        progress=lambda stage, done, total: console.progress(name, stage, done, total),
    )
    for note in findings.notes[len(volume.notes) :]:
        console.say(f"{name}: note: {note}")
    asked = {key: value for key, value in _options(batch).items() if value is not None}
    return replace(findings, scan=name, run={**findings.run, **asked})


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
