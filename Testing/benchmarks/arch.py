"""Numbers decided for all teeth together beside each tooth's own best score.

    python Testing/benchmarks/arch.py              200 patients a row
    python Testing/benchmarks/arch.py --quick      20, to see that it runs

Patients: whole dentitions with missing teeth (neighbours drift into some gaps), third molars or none, children's mixed
dentitions, one jaw or one quadrant, a supernumerary tooth, an ectopic canine; heads tilted by up to 30° about every
axis. Their arches are half ellipses with tooth widths of each jaw, not the parabola that the joint decision fits.
The network's answer for a tooth is the likelihood of each label under noise, so that it confuses neighbours mostly,
then a tooth's deciduous or mirrored counterpart, then its antagonist; it is surer than it is right (`SURER`).
The noise is set so that the best score of a tooth is right as often as the row says.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from medinfer.anatomy.arch import names_along_arches
from medinfer.manifest import Arch

FDI = tuple(f"{quadrant}{n}" for quadrant in range(1, 9) for n in range(1, 9 if quadrant < 5 else 6))
WIDTHS = {"upper": (8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.0, 8.5), "lower": (5.0, 5.5, 7.0, 7.0, 7.0, 11.0, 10.5, 10.0)}
SURER = 1.5
THRESHOLD = 0.5


def arch_of(right: int, left: int) -> Arch:
    """The arch of two quadrants with their deciduous teeth (quadrant + 4)."""
    def place(quadrant: int, n: int) -> tuple[str, ...]:
        return (f"{quadrant}{n}", f"{quadrant + 4}{n}") if n < 6 else (f"{quadrant}{n}",)

    return Arch(places=tuple(place(right, n) for n in range(8, 0, -1)) + tuple(place(left, n) for n in range(1, 9)))


ARCHES = (arch_of(1, 2), arch_of(4, 3))


@dataclass(frozen=True)
class Patient:
    """names: of n teeth, None for a supernumerary one. looks: the tooth that each looks like. places: [n, 3] RAS mm."""

    names: tuple[str | None, ...]
    looks: tuple[str, ...]
    places: np.ndarray


def similarity() -> np.ndarray:
    """[52, 52], 1 for a tooth and itself: how much a network's answer for one is like that for the other."""
    def alike(one: str, other: str) -> float:
        quadrant, n = (int(one[0]) - 1) % 4, int(one[1])
        there, m = (int(other[0]) - 1) % 4, int(other[1])
        same = (int(one[0]) > 4) == (int(other[0]) > 4)
        side = (quadrant in (0, 3)) == (there in (0, 3))
        near = max(0.0, 1 - 0.35 * abs(n - m)) if side else 0.55 * max(0.0, 1 - 0.35 * abs(n - m))
        if not side and n == m == 1:
            near = 0.65
        return near * (1 if same else 0.55) * (1 if (quadrant < 2) == (there < 2) else 0.4)

    return np.array([[alike(one, other) for other in FDI] for one in FDI])


def answers(looks: tuple[str, ...], noise: float, random: np.random.Generator) -> np.ndarray:
    """[n, 52] probabilities."""
    alike = similarity()
    seen = alike[[FDI.index(name) for name in looks]]
    seen = seen + random.normal(0, noise, seen.shape)
    log = -SURER * 0.5 * ((seen[:, None] - alike) ** 2).sum(axis=2) / noise**2
    share = np.exp(log - log.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def patient(kind: str, random: np.random.Generator) -> Patient:
    teeth: list[tuple[str | None, str, np.ndarray]] = []
    child = kind == "mixed"
    for jaw, quadrants in (("upper", (1, 2)), ("lower", (4, 3))):
        if kind == "one jaw" and jaw == "lower":
            continue
        for quadrant in quadrants:
            if kind == "quadrant" and quadrant != 4:
                continue
            teeth += side(jaw, quadrant, child, random)
    if kind == "extra":
        teeth.append((None, "11", between(teeth, "11", "21") + random.normal(0, 1, 3) + np.array([0, -4, 4])))
    if kind == "ectopic":
        at = next(n for n, tooth in enumerate(teeth) if tooth[0] == "13")
        teeth[at] = ("13", "13", between(teeth, "11", "11") + np.array([0, -4, 10]))
    tilt = turn(random.uniform(-30, 30, 3))
    places = np.array([place for _, _, place in teeth]) @ tilt.T + random.uniform(-50, 50, 3)
    return Patient(tuple(t[0] for t in teeth), tuple(t[1] for t in teeth), places)


def between(teeth: list[tuple[str | None, str, np.ndarray]], one: str, other: str) -> np.ndarray:
    return np.mean([place for name, _, place in teeth if name in (one, other)], axis=0)


def side(jaw: str, quadrant: int, child: bool, random: np.random.Generator) -> list[tuple[str, str, np.ndarray]]:
    """The teeth of a quadrant from the midline back, upright head: an ellipse, 20 mm between the jaws."""
    sign, up = (1 if quadrant in (1, 4) else -1), (1 if jaw == "upper" else -1)
    scale = random.uniform(0.88, 1.08)
    along, teeth = 0.0, []
    count = 6 if child else 8 if random.random() < 0.5 else 7
    for n in range(1, count + 1):
        width = scale * WIDTHS[jaw][n - 1] * random.uniform(0.92, 1.08)
        middle, along = along + width / 2, along + width + random.uniform(-0.3, 0.4)
        missing = random.random() < 0.08 and n not in (1, 2, 3)
        if missing and random.random() < 0.5:
            along -= width * random.uniform(0.3, 0.9)  # the teeth behind drift forward
        place = ellipse(middle, sign) + random.normal(0, 1, 3) * (0.8, 1.0, 1.5) + (0, 0, 10 * up)
        deciduous = child and n < 6 and random.random() < (0.2 if n < 3 else 0.9)
        if deciduous:
            name = f"{quadrant + 4}{n}"
            teeth.append((name, name, place - np.array([0, 0, 2 * up])))
        if not missing and (not deciduous or random.random() < 0.6):
            name = f"{quadrant}{n}"
            germ = np.array([0, -2, 6 * up]) * deciduous
            teeth.append((name, name, place + random.normal(0, 0.7, 3) + germ))
    return teeth


def ellipse(along: float, sign: int) -> np.ndarray:
    angle = np.linspace(0, 2.2, 400)
    points = np.column_stack([27 * np.sin(angle), 50 * (np.cos(angle) - 1)])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    x, y = (np.interp(along, length, column) for column in points.T)
    return np.array([sign * x, y, 0.0])


def turn(degrees: np.ndarray) -> np.ndarray:
    a, b, c = np.radians(degrees)
    about_r = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_a = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_s = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_s @ about_a @ about_r


KINDS = ("adult", "mixed", "one jaw", "quadrant", "extra", "ectopic")


def noise_for(right: float) -> float:
    """The noise at which a tooth's best score is right in so many of the cases."""
    low, high = 0.02, 2.0
    looks = tuple(FDI[:32]) * 20
    for _ in range(12):
        middle = (low * high) ** 0.5
        best = answers(looks, middle, np.random.default_rng(1)).argmax(axis=1)
        good = np.mean([FDI[b] == name for b, name in zip(best, looks, strict=True)])
        low, high = (middle, high) if good > right else (low, middle)
    return (low * high) ** 0.5


def row(kind: str, noise: float, patients: int) -> dict[str, float]:
    """Shares: of the teeth right alone, right jointly, unsure; of the numbers given, right; of patients, all right."""
    random = np.random.default_rng(7)
    alone = joint = unsure = total = whole = 0
    extras = found = 0
    for _ in range(patients):
        one = patient(kind, random)
        scores = answers(one.looks, noise, random)
        named = names_along_arches(scores, FDI, one.places, ARCHES, THRESHOLD)
        best = [FDI[n] for n in scores.argmax(axis=1)]
        true = [n for n, name in enumerate(one.names) if name is not None]
        right = [named[n].label == one.names[n] for n in true]
        alone += sum(best[n] == one.names[n] for n in true)
        joint += sum(right)
        unsure += sum(named[n].label is None for n in true)
        total += len(true)
        whole += all(right)
        extras += len(one.names) - len(true)
        found += sum(named[n].label is None for n, name in enumerate(one.names) if name is None)
    given = max(total - unsure, 1)
    return {"alone": alone / total, "joint": joint / total, "unsure": unsure / total, "given": joint / given,
            "whole": whole / patients, "extra": found / extras if extras else float("nan")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 patients a row")
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    options = parser.parse_args()
    patients = 20 if options.quick else options.patients
    print(f"{'':12}{'alone':>9}{'joint':>9}{'unsure':>9}{'right of given':>16}{'patients all right':>20}{'extra':>8}")
    for right in (0.7, 0.8, 0.9):
        noise = noise_for(right)
        for kind in options.kinds:
            found = row(kind, noise, patients)
            extra = "" if np.isnan(found["extra"]) else f"{found['extra']:8.1%}"
            print(f"{kind:12}{found['alone']:9.1%}{found['joint']:9.1%}{found['unsure']:9.1%}{found['given']:16.1%}"
                  f"{found['whole']:20.1%}{extra}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
