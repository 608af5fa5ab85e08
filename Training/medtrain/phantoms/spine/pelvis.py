"""Sacrum below its first segment, coccyx, hip bones, femora."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bending import bend, moved
from ..lattice import Floats
from .canvas import Canvas
from .measures import Physique
from .spec import Tissue
from .spine_curve import Spine


def paint_sacrum(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """The fused wedge S1-S5 with its wings, and the coccyx; S1's own segment is drawn over it as a vertebra."""
    s, first = physique.size, spine.of("S1")
    bow = rng.normal(1, 0.15)
    lean = np.degrees(np.arctan2(first.axes[2, 1], first.axes[2, 2]))
    point, angle = first.center.copy(), float(lean)
    segments = [point]
    for length, turn in ((28, 8), (24, 2), (20, -16), (18, -26), (16, -30), (12, -22), (10, -20)):
        angle += turn * bow
        point = point - length * s * np.array([0, np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        segments.append(point)
    line = np.array(segments)
    canvas.bone(line[:6], np.array([14, 11, 9, 7.5, 6.5, 6]) * s, shell=1.6, flat=(0.6, 1, 1))
    canvas.bone(line[5:], np.array([5.5, 4.5, 3]) * s, shell=1.4, flat=(0.7, 1, 1))
    for side in (1.0, -1.0):  # wings: from each segment to the joint with the ilium
        wings = ((44, -12, 2, 13), (42, -12, 4, 11), (34, -8, 4, 9), (22, -4, 2, 7))
        for n, (out, back, up, thick) in enumerate(wings):
            wing = line[n] + np.array([side * out, back, up]) * s
            canvas.bone(np.array([line[n], wing]), np.array([thick, thick * 0.85]) * s, shell=1.5)
        for n in range(1, 4):  # foramina
            hole = 0.5 * (line[n - 1] + line[n]) + np.array([side * 17, -4, 0]) * s
            canvas.ellipsoid(hole, np.array([4.5, 9, 4.5]) * s, Tissue.FAT)
    crest = line[:4] + np.array([0, -24, -4]) * s
    canvas.bone(bend(crest, 8), np.linspace(6, 3.5, 8) * s, shell=1.4, flat=(0.7, 1, 1))
    for side in (1.0, -1.0):
        canvas.bone(bend(line[:4] + np.array([side * 15, -20, -3]) * s, 8), np.linspace(5, 3.5, 8) * s, shell=1.4)
    canal = bend(line[:4] + np.array([0, -15, -3]) * s, 10)
    canvas.tube(canal, np.linspace(7.5, 4, 10) * s, Tissue.CANAL, flat=(0.6, 1, 1))


def paint_hips(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Iliac wings as fans from the hip joint to the crest, pubis, ischium, femora; rarely a prosthesis."""
    s = physique.size
    wide = (1.03 if physique.female else 1.0) * rng.normal(1, 0.03)
    crest = float(spine.level(22.25 + rng.normal(0, 0.3))[2]) / s  # the crests reach L4
    prosthesis = rng.choice([-1.0, 1.0]) if physique.metal and rng.random() < 0.5 else 0.0
    for side in (1.0, -1.0):
        half = Half(side, np.array([wide, 1, 1]) * s)
        joint = half.at(88, 28, -90)
        _wing(canvas, half, crest, s)
        canvas.bone(half.line((50, -34, -6), (74, -10, -44)), np.array([11, 13]) * s, shell=1.6)
        socket = np.stack([moved(joint, -side * 7 * s, 0, 5 * s), moved(joint, -side * 4 * s, 0, 2 * s)])
        canvas.bone(socket, 32 * s, shell=1.8)
        _pubis_and_ischium(canvas, half, s)
        canvas.ellipsoid(joint, np.full(3, 27.5 * s), Tissue.CARTILAGE)
        opening = np.stack([joint, joint + half.at(26, -2, -10)])
        canvas.tube(opening, 27 * s, Tissue.MUSCLE, (Tissue.CORTICAL, Tissue.CANCELLOUS))
        canvas.ellipsoid(joint, np.full(3, 26.5 * s), Tissue.CARTILAGE)
        _femur(canvas, half, joint, s, metal=side == prosthesis)
    symphysis = np.array([[-2, 84, -88], [-2, 84, -110]]) * s
    canvas.tube(symphysis, 6 * s, Tissue.CARTILAGE, (Tissue.CORTICAL, Tissue.CANCELLOUS))


@dataclass(frozen=True, eq=False)
class Half:
    """One side of the pelvis: points are given outward, forward and up from the body of S1, mm of a tall adult."""

    side: float
    stretch: Floats

    def at(self, out: float, front: float, up: float) -> Floats:
        point: Floats = np.array([self.side * out, front, up]) * self.stretch
        return point

    def line(self, *points: tuple[float, float, float]) -> Floats:
        return np.array([self.at(*point) for point in points])


def _wing(canvas: Canvas, half: Half, crest: float, s: float) -> None:
    """Struts from the roof of the joint to the rim, close enough to make a sheet, and the rim itself."""
    back = ((40, -54, -34), (46, -56, -8), (74, -38, 0.72 * crest), (108, -8, crest))
    front = ((127, 26, 0.85 * crest), (130, 58, 0.42 * crest), (118, 82, -8), (112, 80, -34))
    rim = bend(half.line(*back, *front), 34)
    roof = half.at(86, 18, -58)
    for n, point in enumerate(rim):
        near = roof + half.at(-4, (n / 33 - 0.45) * 44, 4) * 0.9
        middle = 0.5 * (near + point) + half.at(3, 0, 0)
        canvas.bone(np.array([near, middle, point]), np.array([8, 4.2, 4.6]) * s, shell=1.5)
    canvas.bone(rim, 5.6 * s, shell=1.5)


def _pubis_and_ischium(canvas: Canvas, half: Half, s: float) -> None:
    upper_branch = half.line((74, 42, -80), (40, 78, -84), (10, 84, -90))
    sitting_bone = half.line((82, 14, -108), (66, -2, -132), (60, 0, -152))
    lower_branch = half.line((58, 4, -156), (36, 46, -138), (10, 82, -108))
    body = half.line((9, 84, -88), (9, 84, -110))
    canvas.bone(bend(upper_branch, 12), np.linspace(9, 7, 12) * s, shell=1.6)
    canvas.bone(bend(sitting_bone, 10), 13 * s, shell=1.6)
    canvas.bone(bend(lower_branch, 12), np.linspace(9, 6, 12) * s, shell=1.6)
    canvas.bone(body, np.array([7.5, 7.0]) * s, shell=1.6)


def _femur(canvas: Canvas, half: Half, joint: Floats, s: float, *, metal: bool) -> None:
    """Neck, trochanter, head, shaft; with a prosthesis if `metal`."""
    trochanter = joint + half.at(52, -10, -22)
    canvas.bone(np.stack([joint, joint + half.at(40, -6, -24)]), np.array([15, 16]) * s, shell=1.8)
    canvas.bone(trochanter + half.line((0, 0, 10), (-8, 4, -40)), np.array([15, 17]) * s, shell=2.2)
    canvas.ellipsoid(joint, np.full(3, 24 * s), Tissue.CORTICAL)
    canvas.ellipsoid(joint, np.full(3, 22.4 * s), Tissue.CANCELLOUS)
    shaft = trochanter + half.line((-4, 4, -10), (-8, 6, -70), (-14, 8, -200))
    canvas.bone(bend(shaft, 12), np.linspace(17, 14, 12) * s, shell=6.5 * s)
    if metal:
        canvas.ellipsoid(joint, np.full(3, 24 * s), Tissue.METAL)
        stem = np.vstack([joint, trochanter + half.line((-10, 6, -20), (-10, 8, -140))])
        canvas.tube(stem, np.array([8, 9, 5]) * s, Tissue.METAL)
