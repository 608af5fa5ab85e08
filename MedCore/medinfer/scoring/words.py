"""The figures of a curve as lines for a reader."""

from __future__ import annotations

from .froc import RATES, Band, Froc


def counts_text(curve: Froc) -> str:
    """The counts, one line each, in the words of LUNA16's script."""
    counts = curve.counts
    return "\n".join((
        f"Scans: {counts.scans}",
        f"Nodules: {counts.nodules}",
        f"Candidates: {counts.candidates}",
        f"True positives: {counts.true_positives}",
        f"False positives: {counts.false_positives}",
        f"False negatives: {counts.false_negatives}",
        f"Ignored candidates on excluded findings: {counts.ignored}",
        f"Ignored double detections: {counts.double}",
    ))


def sensitivity_text(curve: Froc, band: Band | None = None) -> str:
    """The sensitivity at the seven rates and the CPM; with their intervals where `band` (at `RATES`) is given."""
    lines = ["False positives per scan  Sensitivity" + (f"  {band.confidence:.0%} interval" if band else "")]
    for number, rate in enumerate(RATES):
        interval = f"        {band.low[number]:.3f}–{band.high[number]:.3f}" if band else ""
        lines.append(f"{rate:>24g}  {curve.at(rate):.3f}{interval}")
    interval = f"        {band.cpm_low:.3f}–{band.cpm_high:.3f}" if band else ""
    return "\n".join([*lines, f"{'CPM (mean of the seven)':>24} {curve.cpm:.3f}{interval}"])
