"""The cage of the chest: its outline at each height, ribs, cartilages, breastbone, collar bones and shoulder blades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bending import bend, moved
from ..lattice import Floats
from .canvas import Canvas
from .measures import Physique
from .spec import Tissue
from .spine_curve import Spine, Vertebra


@dataclass(frozen=True, eq=False)
class Cage:
    """Half-ellipses at heights z (rising): half width, y of the widest place, of the back and of the front, mm."""

    z: Floats
    x: Floats
    width: Floats
    middle: Floats
    back: Floats
    front: Floats

    def at(self, z: Floats | float, angle: Floats | float, side: float) -> Floats:
        """Points on the cage `[..., 3]`; angle: 0 at the back, pi at the front."""
        x, width, middle, back, front = (
            np.interp(z, self.z, one) for one in (self.x, self.width, self.middle, self.back, self.front)
        )
        depth = np.where(np.cos(angle) > 0, middle - back, front - middle)
        # a little squarer than an ellipse behind, so that the gutters lie beside the spine
        sine, cosine = np.sin(angle), np.cos(angle)
        bulge = 1 / np.sqrt(1 - 0.35 * sine**2 * cosine**2 * 2)
        return np.stack(
            np.broadcast_arrays(x + side * width * sine * bulge, middle - depth * cosine * bulge, z), axis=-1
        )


def draw_cage(rng: np.random.Generator, physique: Physique, spine: Spine) -> Cage:
    """From above the first rib to below the tenth; follows the spine."""
    places = np.array([5.5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22])
    width = np.array([38, 52, 78, 97, 108, 116, 122, 127, 130, 132, 133, 133, 132, 130, 127, 124, 121])
    front = np.array([40, 48, 64, 80, 91, 99, 102, 108, 113, 117, 120, 121, 119, 114, 107, 98, 90])
    back = np.array([-28, -38, -46, -51, -54, -56, -57, -57, -57, -57, -57, -56, -55, -54, -52, -50, -48])
    s = physique.size
    deep = 1.04 + 0.5 * (physique.girth - 1) + rng.normal(0, 0.06)
    centers = np.array([spine.level(p) for p in places])[::-1]
    order = slice(None, None, -1)
    y = centers[:, 1]
    # a curve of the chest follows the spine's only in part in front
    smooth = np.polyval(np.polyfit(centers[:, 2], y, 1), centers[:, 2])
    front_y = 0.6 * smooth + 0.4 * y + s * deep * front[order]
    back_y = y + s * back[order]
    middle = back_y + 0.45 * (front_y - back_y)
    return Cage(centers[:, 2], centers[:, 0], s * physique.girth * width[order], middle, back_y, front_y)


# how far each rib's front end lies below its head (mm), and how far round it goes as bone (parts of a half circle)
DROP = (32, 52, 68, 82, 94, 103, 110, 112, 108, 98, 75, 40)
REACH = (0.80, 0.80, 0.79, 0.78, 0.77, 0.76, 0.745, 0.72, 0.69, 0.64, 0.47, 0.27)


def paint_ribs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> None:
    """All ribs with their cartilages, and the breastbone."""
    s = physique.size
    bearers = [one for one in spine.vertebrae if 6.9 < one.place < 18.9]
    slope = rng.uniform(0.75, 1.2)
    last = np.exp(rng.normal(-0.15, 0.45))  # the length of the last rib varies much
    sternum = _sternum(spine, cage, s)
    if rng.random() < 0.04:  # a cervical rib
        _rib(canvas, rng, spine.of("C7"), cage, rng.choice([-1.0, 1.0]), 0.22 * rng.uniform(0.6, 1.2), 15 * s, 3.2 * s)
    thoracic = [one for one in bearers if one.place >= 7]
    for n, vertebra in enumerate(thoracic):
        row = min(n, 11) if len(thoracic) >= 12 else round(n * 11 / 10)
        reach, drop = REACH[row], DROP[row] * slope * s
        if n == len(thoracic) - 1:
            reach, drop = np.clip(0.25 * last, 0.09, 0.42), drop * last
        thick = (3.6 if 0 < row < 10 else 3.3) * s
        for side in (-1.0, 1.0):
            own = reach * rng.normal(1, 0.1 if n == len(thoracic) - 1 else 0.012)
            end = _rib(canvas, rng, vertebra, cage, side, own, drop, thick)
            if row < 10:
                _cartilage(canvas, cage, end, sternum, row, side, s)
    if rng.random() < 0.03:  # short ribs on the first lumbar
        side = rng.choice([-1.0, 1.0])
        _rib(canvas, rng, spine.of("L1"), cage, side, 0.12, 20 * s, 2.8 * s)
    _paint_sternum(canvas, sternum, s)


def _rib(
    canvas: Canvas,
    rng: np.random.Generator,
    v: Vertebra,
    cage: Cage,
    side: float,
    reach: float,
    drop: float,
    thick: float,
) -> Floats:
    """One bony rib from its head at the body to `reach` (of a half circle); returns its front end."""
    head = v.at(side * (v.width / 2 + thick * 0.4), -v.depth / 2 + 3, 0.28 * v.height)
    neck = v.at(side * (v.transverse + 0.5 * thick), -v.depth / 2 - 0.72 * v.canal_depth, 0.2 * v.height)
    width = float(np.interp(head[2], cage.z, cage.width))
    first = np.arcsin(np.clip((v.transverse + 14) / width, 0, 0.9))
    start = neck[2] - 2
    angles = np.linspace(first, max(reach * np.pi, first + 0.1), 26)
    fall = (1 - np.cos(angles)) / 2  # steepest at the side
    span = (1 - np.cos(0.8 * np.pi)) / 2
    z = start - drop * (0.75 * fall / span + 0.25 * (angles - first) / np.pi) + rng.normal(0, 0.6)
    course = cage.at(z, angles, side)
    points = bend(np.vstack([head, neck, course]), 40)
    canvas.bone(points, np.linspace(1.05, 0.95, 40) * thick, shell=1.3, flat=(1.0, 1.0, 0.62))
    result: Floats = course[-1]
    return result


def _sternum(spine: Spine, cage: Cage, s: float) -> Floats:
    """Notch, angle, lower end of the body, tip of the xiphoid: points in the midline, `[4, 3]`."""
    z = np.array([spine.level(place)[2] for place in (9.0, 11.2, 16.0, 17.3)])
    middle = cage.at(z, np.pi, 1.0)
    middle[:, 1] += 2 * s
    return middle


def _cartilage(canvas: Canvas, cage: Cage, end: Floats, sternum: Floats, row: int, side: float, s: float) -> None:
    """From a rib's end to the breastbone; the eighth to tenth only to the cartilage above."""
    part = (0.06, 0.36, 0.5, 0.62, 0.74, 0.84, 0.93, 1.0, 1.05, 1.1)[row]
    top, low = sternum[0], sternum[2]
    goal = top + part * (low - top) + np.array([side * 15 * s, 0, 0])
    if row >= 7:
        goal = goal + np.array([side * (12 + 16 * (row - 6)) * s, -4 * s, -16 * s * (row - 6)])
    z = np.linspace(end[2], goal[2], 8) - 10 * s * np.sin(np.linspace(0, np.pi, 8)) * (row > 3)
    way = np.linspace(0, 1, 8)[:, None]
    straight = end + way * (goal - end)
    straight[:, 2] = z
    width, middle, front = (np.interp(z, cage.z, one) for one in (cage.width, cage.middle, cage.front))
    aside = np.clip((straight[:, 0] - np.interp(z, cage.z, cage.x)) / width, -0.98, 0.98)
    straight[1:-1, 1] = (middle + (front - middle) * np.sqrt(1 - aside**2))[1:-1]
    canvas.tube(straight, 4.2 * s, Tissue.CARTILAGE, flat=(1, 1, 0.7))


def _paint_sternum(canvas: Canvas, points: Floats, s: float) -> None:
    notch, angle, end, tip = points
    canvas.bone(bend([notch, angle], 6), np.linspace(6.0, 5.2, 6) * s, shell=1.3, flat=(0.27, 1, 1))
    canvas.bone(bend([angle, end], 10), np.linspace(5, 5.4, 10) * s, shell=1.3, flat=(0.33, 1, 1))
    canvas.tube(bend([end, tip], 5), 3.2 * s, Tissue.CARTILAGE, flat=(0.5, 1, 1))


def paint_shoulders(canvas: Canvas, physique: Physique, spine: Spine, cage: Cage, heads: dict[float, Floats]) -> None:
    """Collar bones, shoulder blades as fans from their sockets, humeral heads (heads: their middles by side)."""
    s = physique.size
    notch = _sternum(spine, cage, s)[0]
    up = 12 * s if physique.arms_up else 0.0
    high, low = float(spine.level(8.4)[2]) + up, float(spine.level(14.2)[2]) + 1.5 * up
    for side, head in heads.items():
        inner = notch + np.array([side * 19, -2, 4]) * s
        acromion = head + np.array([side * 2, -8, 26]) * s
        middle = moved(0.5 * (inner + acromion), -side * 10 * s, 16 * s, 2 * s + 0.2 * up)
        canvas.bone(bend([inner, middle, acromion], 16), 5.6 * s, shell=1.6)
        socket = head + np.array([-side * 24, -7, -4]) * s
        z = np.linspace(high, low, 22)
        border = cage.at(z, np.pi * 0.215 + (0.22 if up else 0.0), side)
        border[:, 1] -= 15 * s
        for point in border:
            strut = np.stack([socket, moved(0.5 * (socket + point), 0, -6 * s, 0), point])
            canvas.bone(strut, np.array([4.5, 2.2, 2.6]) * s, shell=1.3)
        spina = [border[4], moved(socket, 0, -26 * s, 14 * s), acromion]
        canvas.bone(bend(spina, 12), 4.5 * s, shell=1.4, flat=(1, 1, 0.8))
        canvas.bone(np.stack([socket, moved(socket, -side, 3, 2)]), 11 * s, shell=1.6)
        canvas.bone(np.stack([head, moved(head, side * 0.5, 0, 0)]), 23 * s, shell=1.6)
