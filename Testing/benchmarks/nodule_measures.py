"""The measures of nodules beside the truth: drawn volumes and diameters of phantoms, LUNA16's diameters of real ones.

    python Testing/benchmarks/nodule_measures.py --phantoms 24
    python Testing/benchmarks/nodule_measures.py --scans ../shared/data/chest

Of phantoms the boxes are as a good detector would draw them: off by about 8 % of the diameter, 0.85 to 1.2 times as
large. Of real scans they are the bundled detector's own, where it finds the nodule.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import medinfer
from medinfer.anatomy.nodule_size import measure_nodule
from medinfer.findings import Box, NoduleMeasures, box_from_index
from medinfer.volume import Grid
from medtrain.datasets.prepare_cases import FIRST_HELD_OUT_SEED
from medtrain.phantoms.chest import PhantomNodule, make_chest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Pair:
    """A drawn nodule and its measures; None where none could be taken."""

    truth: PhantomNodule
    measures: NoduleMeasures | None


def phantom_pairs(count: int, first_seed: int) -> Iterator[Pair]:
    for seed in range(first_seed, first_seed + count):
        phantom, rng = make_chest(seed), np.random.default_rng(seed)
        for nodule in phantom.nodules:
            box = drawn_box(phantom.volume.grid, nodule, rng)
            yield Pair(nodule, measure_nodule(phantom.volume, box))


def drawn_box(grid: Grid, nodule: PhantomNodule, rng: np.random.Generator) -> Box:
    off = rng.normal(size=3) * min(1.0, 0.08 * nodule.diameter_mm)
    centre = grid.to_index(np.array(nodule.center_ras) + off)
    half = nodule.diameter_mm * rng.uniform(0.85, 1.2) / 2 / np.array(grid.spacing)
    return box_from_index(grid, centre - half + 0.5, centre + half + 0.5, label="Nodule", score=1.0)


KINDS, PLACES = ("solid", "part-solid", "ground-glass"), ("isolated", "juxta-pleural", "juxta-vascular")
SIZES = ((4, 6), (6, 10), (10, 31))


def table(pairs: Sequence[Pair]) -> None:
    """Errors in percent of the truth: mean (bias), median and 90th percentile of the absolute error."""
    heads = " | ".join(f"{name + ': mean':>12}   |50|   |90|" for name in ("volume", "longest", "across"))
    print(f"{'':<28}{'n':>4} | {heads} | kind")
    solid = [pair for pair in pairs if pair.truth.kind == "solid"]
    rows = {
        "all": pairs,
        **{kind: [pair for pair in pairs if pair.truth.kind == kind] for kind in KINDS},
        **{f"solid, {place}": [pair for pair in solid if pair.truth.place == place] for place in PLACES},
        **{f"solid, {low}–{high} mm": [p for p in solid if low <= p.truth.diameter_mm < high] for low, high in SIZES},
    }
    for name, chosen in rows.items():
        row(name, chosen)


def row(name: str, pairs: Sequence[Pair]) -> None:
    found = [(pair.truth, pair.measures) for pair in pairs if pair.measures is not None]
    if not found:
        return
    errors = (
        percent([m.volume_mm3 / (np.pi / 6 * t.diameter_mm**3) for t, m in found]),
        percent([m.longest_mm / t.longest_mm for t, m in found]),
        percent([m.perpendicular_mm / t.perpendicular_mm for t, m in found]),
    )
    cells = " | ".join(
        f"{one.mean():+12.1f} {np.median(abs(one)):6.1f} {np.percentile(abs(one), 90):6.1f}" for one in errors
    )
    right = sum(m.kind == t.kind for t, m in found)
    missing = f" ({len(pairs) - len(found)} not measured)" if len(found) < len(pairs) else ""
    print(f"{name:<28}{len(found):>4} | {cells} | {right}/{len(found)}{missing}")


def percent(ratios: Sequence[float]) -> np.ndarray:
    return 100 * (np.array(ratios) - 1)


def real(folder: Path, truth: Path) -> None:
    """LUNA16's diameters (means over readers) beside the sphere of the measured volume and the axial diameters."""
    with truth.open(encoding="utf-8", newline="") as stream:
        rows = [entry for entry in csv.DictReader(stream) if entry["source"] == "LUNA16"]
    package = medinfer.find_package("chest-nodules")
    print(f"{'case':<16} {'LUNA16':>7} {'box':>6} {'sphere':>7} {'axial':>13} {'mean axial':>10}  kind")
    with medinfer.open_package(package) as session:
        for case in dict.fromkeys(entry["case"] for entry in rows):
            boxes = medinfer.run(medinfer.read_volume(folder / f"{case}.nii.gz"), package, session).boxes
            for entry in (entry for entry in rows if entry["case"] == case):
                place = np.array([-float(entry["x_lps_mm"]), -float(entry["y_lps_mm"]), float(entry["z_lps_mm"])])
                diameter = float(entry["diameter_mm"])
                near = [box for box in boxes if np.linalg.norm(np.array(box.center_ras) - place) < diameter / 2]
                if not near or near[0].measures is None:
                    print(f"{case:<16} {diameter:7.1f}  not found")
                    continue
                box, m = near[0], near[0].measures
                sphere = (6 * m.volume_mm3 / np.pi) ** (1 / 3)
                print(
                    f"{case:<16} {diameter:7.1f} {box.diameter_mm:6.1f} {sphere:7.1f} {m.longest_mm:6.1f} × "
                    f"{m.perpendicular_mm:4.1f} {(m.longest_mm + m.perpendicular_mm) / 2:10.1f}  {m.kind}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--phantoms", type=int, default=0, metavar="N")
    parser.add_argument("--first-seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--scans", type=Path, help="folder with CASE.nii.gz and nodules.csv")
    chosen = parser.parse_args()
    if chosen.phantoms:
        pairs = list(phantom_pairs(chosen.phantoms, chosen.first_seed))
        print(f"{chosen.phantoms} phantoms from seed {chosen.first_seed} on, {len(pairs)} nodules; errors in percent")
        table(pairs)
    if chosen.scans:
        real(chosen.scans, chosen.scans / "nodules.csv")


if __name__ == "__main__":
    main()
