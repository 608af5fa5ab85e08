"""The FROC command: computes the figures for a submission from LUNA16's tables.

    python -m medtrain froc --annotations A.csv --seriesuids S.csv --submission C.csv
        [--excluded E.csv] [--bootstrap 1000] [--curve curve.txt] [--published froc.txt] [--plot froc.png]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medinfer.errors import MedInferError, OutputError
from medinfer.scoring.froc import MAX_CANDIDATES, RATES, Band, Floats, Froc, bootstrap, froc, match_all
from medinfer.scoring.luna16 import read_scans
from medinfer.scoring.tables import TableError
from medinfer.scoring.words import counts_text, sensitivity_text

# Published curves have nine decimals.
TOLERANCE = 1e-6


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 where the curve is not the published one; 2 for input or output that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        matches = match_all(
            read_scans(
                annotations=options.annotations, seriesuids=options.seriesuids, submission=options.submission,
                excluded=options.excluded,
            ),
            max_candidates=options.max_candidates,
        )
        curve = froc(matches)
        band = bootstrap(matches, samples=options.bootstrap, seed=options.seed) if options.bootstrap else None
        print(counts_text(curve))
        print(sensitivity_text(curve, band))
        if options.curve:
            write_curve(curve, options.curve)
        if options.plot:
            rates = np.geomspace(RATES[0], RATES[-1], 500)
            fine = bootstrap(matches, samples=options.bootstrap, seed=options.seed, rates=rates) if band else None
            plot(curve, options.plot, fine)
        return 0 if options.published is None else _compare(curve, options.published)
    except MedInferError as error:
        print(f"medtrain froc: {error}", file=sys.stderr)
        return 2


def write_curve(curve: Froc, path: Path) -> None:
    """Write lines `false positives per scan, sensitivity, threshold`, in the format of LUNA16's script."""
    points = zip(curve.false_positives_per_scan, curve.sensitivity, curve.thresholds, strict=True)
    try:
        path.write_text("".join(f"{rate:.9f},{found:.9f},{score:.9f}\n" for rate, found, score in points))
    except OSError as error:
        raise OutputError(f"The curve cannot be written to {path}: {error.strerror}.") from error


def read_curve(path: Path) -> Floats:
    """`[points, 3]`: false positives a scan, sensitivity, threshold. Raises TableError."""
    try:
        points = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is not a curve; each line needs three numbers separated by commas.") from error
    if points.shape[1:] != (3,):
        raise TableError(f"{path} is not a curve; each line needs three numbers separated by commas.")
    return points


def difference(curve: Froc, points: Floats) -> float:
    """The largest absolute difference from `points` `[points, 3]`; infinite where the numbers of points differ."""
    own = np.column_stack([curve.false_positives_per_scan, curve.sensitivity, curve.thresholds])
    return float(np.abs(own - points).max()) if own.shape == points.shape else float("inf")


def plot(curve: Froc, path: Path, band: Band | None = None) -> None:
    """Draw the curve, and its band where given, with the axis of false positives by powers of two."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MedInferError("A picture needs matplotlib; install it or leave --plot out.") from error
    rates = np.geomspace(RATES[0], RATES[-1], 500)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(rates, [curve.at(rate) for rate in rates], label=f"CPM {curve.cpm:.3f}")
    if band is not None:
        axes.fill_between(band.rates, band.low, band.high, alpha=0.2, label=f"{band.confidence:.0%} of resampled scans")
    axes.set_xscale("log", base=2)
    axes.set_xticks(RATES, ["⅛", "¼", "½", "1", "2", "4", "8"])
    axes.set(xlabel="False positives per scan", ylabel="Sensitivity", xlim=(RATES[0], RATES[-1]), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise OutputError(f"The picture cannot be written to {path}: {error}.") from error


def _compare(curve: Froc, published: Path) -> int:
    points = read_curve(published)
    apart = difference(curve, points)
    if apart <= TOLERANCE:
        print(f"Published curve: all {len(points)} points agree, largest difference {apart:.1e}")
        return 0
    print(f"Published curve: differs from {published} by {apart:.1e}, more than {TOLERANCE:g}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m medtrain froc", description="FROC by LUNA16's own rules.")
    parser.add_argument("--annotations", type=Path, required=True, help="CSV of the nodules")
    parser.add_argument("--excluded", type=Path, help="CSV of findings that do not count")
    parser.add_argument("--seriesuids", type=Path, required=True, help="the scans to evaluate, one per line")
    parser.add_argument("--submission", type=Path, required=True, help="CSV of the candidates with their probability")
    parser.add_argument("--max-candidates", type=_positive, default=MAX_CANDIDATES, help="limit per scan (%(default)s)")
    parser.add_argument("--bootstrap", type=_positive, metavar="N", help="add intervals from N draws of the scans")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument("--curve", type=Path, help="write the points of the curve here")
    parser.add_argument("--published", type=Path, help="compare with this curve; exit code 1 if it differs")
    parser.add_argument("--plot", type=Path, help="draw the curve here (needs matplotlib)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)
