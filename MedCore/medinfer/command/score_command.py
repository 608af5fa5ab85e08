"""`medinfer score`: results of a detector beside a table of the nodules that are really there."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ..errors import OutputError
from ..findings import Findings
from ..scoring.froc import RATES, Froc, bootstrap, froc, match, match_all
from ..scoring.luna16 import Scan
from ..scoring.pairing import Hit, Paired, hits_of, paired
from ..scoring.truth import read_truth
from ..scoring.words import counts_text, sensitivity_text
from .console import Console
from .results import FINDINGS_FILE, Output, findings_in


def score_command(
    options: argparse.Namespace, console: Console, stopped: threading.Event, outputs: Mapping[str, Output] | None
) -> int:
    """Print hits, findings at the threshold, the FROC curve and the CPM. Raises MedInferError; the exit code is 0."""
    results = _results(options.results)
    model = _model(results)
    pairs = paired(results, read_truth(options.truth, options.excluded), count_absent=options.count_missing)
    notes = [*_notes(pairs, results, counted=options.count_missing)]
    hits = [hit for scan in pairs.scans for hit in hits_of(scan)]
    matches = match_all(pairs.scans)
    curve = froc(matches)
    band = bootstrap(matches, samples=options.bootstrap) if options.bootstrap else None
    for line in [
        model, *(f"note: {note}" for note in notes), "", *_hit_lines(hits), "", *_threshold_lines(pairs, results), "",
        *counts_text(curve).splitlines(), *sensitivity_text(curve, band).splitlines(),
    ]:
        console.say(line)
    console.event("score", _data(model, notes, hits, curve))
    return 0


def _results(folders: Sequence[Path]) -> dict[str, Findings]:
    """The results in `folders`, each a folder of results or the folder of one scan, by name. Raises OutputError."""
    found: dict[str, Findings] = {}
    for folder in folders:
        homes = [folder] if (folder / FINDINGS_FILE).is_file() else sorted(
            path.parent for path in folder.glob(f"*/{FINDINGS_FILE}") if not path.parent.name.startswith(".")
        )
        if not homes:
            raise OutputError(f"{folder} holds no results; give the folder that `medinfer detect -o` wrote.")
        for home in homes:
            findings, name = findings_in(home), home.resolve().name
            if findings is None:
                raise OutputError(f"{home / FINDINGS_FILE} is damaged or of a newer MedInfer; run that scan again.")
            if findings.landmarks or findings.segments:
                raise OutputError(f"{home} holds results of {findings.model}, which gives no boxes to score.")
            if name in found:
                raise OutputError(f"There are results called {name} in two of the folders; give one of them.")
            found[name] = findings
    return found


def _model(results: Mapping[str, Findings]) -> str:
    models = sorted({findings.model for findings in results.values()})
    if len(models) > 1:
        raise OutputError(f"The results are of {' and '.join(models)}; score one model at a time.")
    return models[0]


def _notes(pairs: Paired, results: Mapping[str, Findings], *, counted: bool) -> list[str]:
    """What a reader of the figures must know of the scans behind them."""
    notes = []
    if pairs.absent:
        then = "they count as scans in which nothing was found" if counted else \
            "they are left out (--count-missing counts them as scans in which nothing was found)"
        notes.append(f"{_scans(pairs.absent)} of the truth without results: {then}")
    if pairs.healthy:
        then = "they count as scans without a nodule"
        notes.append(f"{_scans(pairs.healthy)} with results that the truth does not name: {then}")
    short = [name for name, findings in results.items() if "floor" not in findings.run]
    if short:
        notes.append(f"{_scans(short)} kept no candidates below the threshold: the curve ends there")
    return notes


def _scans(names: Sequence[str]) -> str:
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} scan{'s' if len(names) > 1 else ''} ({some})"


def _hit_lines(hits: Sequence[Hit]) -> list[str]:
    width = max((len(hit.scan) for hit in hits), default=0)
    lines = [f"{'scan':<{width}}  nodule mm  {'place R, A, S (mm)':<22}  score  rank  off by"]
    for hit in hits:
        place = ", ".join(f"{value:.1f}" for value in hit.nodule.center_mm)
        what = "missed" if hit.score is None else f"{hit.score:5.2f}  {hit.rank:>4}  {hit.distance_mm:.1f} mm"
        lines.append(f"{hit.scan:<{width}}  {hit.nodule.diameter_mm:9.1f}  {place:<22}  {what}")
    return lines


def _threshold_lines(pairs: Paired, results: Mapping[str, Findings]) -> list[str]:
    """Of each scan: what its run reported, and what of that is true."""
    width = max(len(scan.name) for scan in pairs.scans)
    lines = [f"{'scan':<{width}}  threshold  findings  nodules found  false  excluded  double"]
    for scan in pairs.scans:
        findings = results.get(scan.name, Findings())
        reported = reported_of(scan, findings)
        outcome = match(reported.nodules, reported.candidates, reported.excluded)
        hit = sum(score > float("-inf") for score in outcome.nodule_scores)
        threshold = findings.run.get("threshold")
        lines.append(
            f"{scan.name:<{width}}  {'–' if threshold is None else f'{threshold:g}':>9}  {len(findings.boxes):8}  "
            f"{f'{hit} of {len(scan.nodules)}':>13}  {len(outcome.false_positive_scores):5}  {outcome.ignored:8}  "
            f"{outcome.double:6}"
        )
    return lines


def reported_of(scan: Scan, findings: Findings) -> Scan:
    """The same scan with the candidates that its run reported, those above the threshold."""
    kept = {(box.center_ras, box.score) for box in findings.boxes}
    return replace(scan, candidates=tuple(one for one in scan.candidates if (one.center_mm, one.score) in kept))


def _data(model: str, notes: Sequence[str], hits: Sequence[Hit], curve: Froc) -> dict[str, object]:
    return {
        "model": model, "notes": [*notes], "hits": [asdict(hit) for hit in hits], "counts": asdict(curve.counts),
        "sensitivity": {f"{rate:g}": curve.at(rate) for rate in RATES}, "cpm": curve.cpm,
    }
