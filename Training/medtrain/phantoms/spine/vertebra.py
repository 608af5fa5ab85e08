"""The shape of one vertebra as a signed distance in its own axes: body, pedicles, laminae, processes, canal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Array
from ..shapes import smooth_max, smooth_min
from .canvas import Canvas
from .spec import EXTRA, LEVELS, Tissue
from .spine_curve import Vertebra

_FAR = np.float32(1e3)


@dataclass(frozen=True, eq=False)
class Local:
    """Coordinates of a box's voxels in a vertebra's axes, mm from the body's middle: right, front, up, |right|."""

    right: Array
    front: Array
    up: Array
    aside: Array


def paint_vertebra(canvas: Canvas, vertebra: Vertebra, bone: float, stout: float) -> None:
    """Draw one vertebra and its label; what an upper one has taken stays its own.

    bone: thickness of the cortex as a factor. stout: mm by which the arch and its processes are thicker than usual.
    """
    box, local = _local(canvas, vertebra)
    if vertebra.name == "C1":
        body, rest = np.full_like(local.up, _FAR), _atlas(vertebra, local)
    else:
        body = _body(vertebra, local)
        rest = _dens(vertebra, local) if vertebra.name == "C2" else np.full_like(local.up, _FAR)
        rest = np.minimum(rest, _arch(vertebra, local, stout))
    distance = np.where(rest < body, rest, body) if vertebra.name == "C1" else smooth_min(body, rest, 2.0)
    free = canvas.vertebrae[box] == 0
    label = LEVELS.index(vertebra.name) + 1 if vertebra.name in LEVELS else EXTRA
    inside = (distance < 0) & free
    canvas.vertebrae[box][inside] = label
    canvas.fill(box, inside, Tissue.CORTICAL)
    shell = np.where(rest < body, np.float32(2.4 * bone), np.float32(1.4 * bone))  # the arch is mostly cortical
    canvas.fill(box, inside & (distance < -shell), Tissue.CANCELLOUS)
    if vertebra.name != "C1":
        ends = np.abs(local.up) > vertebra.height / 2 - 1.3 * bone - 0.6
        canvas.fill(box, inside & ends & (body < 0) & (body > -2.5), Tissue.ENDPLATE)


def paint_disc(canvas: Canvas, vertebra: Vertebra) -> None:
    """Draw the disc below a body, a little into both its neighbours, which are drawn over it."""
    if vertebra.place < 1:
        return
    box, local = _local(canvas, vertebra)
    middle, half = -(vertebra.height + vertebra.disc) / 2, vertebra.disc / 2 + 4
    ring = (_section(vertebra, local, vertebra.width * 1.02, vertebra.depth * 1.02) - 1) * vertebra.depth / 2
    canvas.fill(box, np.maximum(ring, np.abs(local.up - middle) - half) < 0, Tissue.DISC)


def _local(canvas: Canvas, v: Vertebra) -> tuple[tuple[slice, slice, slice], Local]:
    reach = v.transverse + 6
    back = v.depth / 2 + v.canal_depth + v.spinous + 10
    tall = v.height + v.spinous_drop * 0.4 + 14
    corners = [v.at(a, b, c) for a in (-reach, reach) for b in (-back, v.depth / 2 + 8) for c in (-tall - 12, tall)]
    box = canvas.box(np.array(corners), 1)
    z, y, x = canvas.lattice.part(box).open()
    z, y, x = z - np.float32(v.center[2]), y - np.float32(v.center[1]), x - np.float32(v.center[0])
    right, front, up = (x * np.float32(a[0]) + y * np.float32(a[1]) + z * np.float32(a[2]) for a in v.axes)
    return box, Local(right, front, up, np.abs(right))


def _section(v: Vertebra, local: Local, width: float, depth: float) -> Array:
    """1 on the outline of the body seen from above: a rounded box, flatter behind."""
    a = np.minimum((local.right / (width / 2)) ** 2, np.float32(1.8))  # farther out the product would win
    b = np.minimum((local.front / (depth / 2)) ** 2, np.float32(1.8))
    boxy = np.where(local.front < 0, np.float32(0.55), np.float32(0.25))
    result: Array = np.sqrt(np.maximum(a + b - boxy * a * b, 0))
    return result


def _body(v: Vertebra, local: Local) -> Array:
    """The body: waisted, lower in front by its wedge, its end plates hollow."""
    across = min(v.width, v.depth) / 2
    hollow = 1 - (2 * local.up / v.height) ** 2
    side = (_section(v, local, v.width, v.depth) - 1) * np.float32(across) + np.float32(0.06 * across) * hollow
    lean = local.front / v.depth
    tall = v.height / 2 * (1 - v.wedge * lean * 2)
    inner = 1 - (local.right / (v.width / 2)) ** 2 - (local.front / (v.depth / 2)) ** 2
    ends = np.abs(local.up) - tall + np.float32(0.04 * v.height) * np.maximum(inner, 0)
    if 1.5 < v.place < 7.5:  # uncinate processes: the upper rim of a cervical body rises at its sides
        ends = np.where(local.up > 0, ends - np.clip(local.aside - 0.36 * v.width, 0, 4), ends)
    return smooth_max(side, ends, 2.5)


def _capsule(
    local: Local, start: tuple[float, float, float], end: tuple[float, float, float], first: float, last: float
) -> Array:
    """A tapering rod on both sides; its points are (aside, front, up)."""
    way = np.subtract(end, start).astype(np.float32)
    a, b, c = local.aside - start[0], local.front - start[1], local.up - start[2]
    t = np.clip((a * way[0] + b * way[1] + c * way[2]) / max(float(way @ way), 1e-6), 0, 1).astype(np.float32)
    away = np.sqrt((a - t * way[0]) ** 2 + (b - t * way[1]) ** 2 + (c - t * way[2]) ** 2)
    result: Array = away - (np.float32(first) + t * np.float32(last - first))
    return result


def _arch(v: Vertebra, local: Local, stout: float) -> Array:
    """Everything behind the body, less the canal."""
    behind = -v.depth / 2
    root = v.canal_width / 2 + v.pedicle_width / 2
    roof = behind - v.canal_depth  # the back of the canal
    lift = 0.02 * v.height if v.place < 7 else 0.2 * v.height
    pedicle = np.sqrt(
        (2 * (local.aside - root) / v.pedicle_width) ** 2 + (2 * (local.up - lift) / v.pedicle_height) ** 2
    )
    pedicle = (pedicle - 1) * (v.pedicle_width / 2)
    pedicle = np.maximum(pedicle, np.abs(local.front - behind + 0.35 * v.canal_depth) - 0.5 * v.canal_depth)
    arch = np.minimum(pedicle, _lamina(v, local, root, roof, lift))
    arch = np.minimum(arch, _spinous(v, local, roof))
    arch = np.minimum(arch, _transverse(v, local, root, roof, lift))
    arch = np.minimum(arch, _facets(v, local, root, roof))
    canal = np.sqrt(
        (2 * local.right / v.canal_width) ** 2 + (2 * (local.front - behind + v.canal_depth / 2) / v.canal_depth) ** 2
    )
    canal = (canal - 1) * (min(v.canal_width, v.canal_depth) / 2)
    between = np.minimum(local.front - behind - 1.0, 50.0)  # nothing of the arch lies in the body's place
    result: Array = np.maximum(np.maximum(arch - np.float32(stout), -canal), between)
    return result


def _facets(v: Vertebra, local: Local, root: float, roof: float) -> Array:
    """Articular processes up and down: pillars in the neck, slender in the chest, stout in the loin."""
    cervical, lumbar = v.place < 7, v.place > 18.9
    thick = (6.0 if cervical else 4.9) * (v.height / 26) + (3.8 if cervical else 0.4) + (0.9 if lumbar else 0.0)
    out, high = (root + 2.5, 0.42) if cervical else (root + (1.5 if lumbar else 0.5), 0.62)
    low = 0.55 if cervical else (0.85 if lumbar else 0.68)
    near = roof + (0.55 if cervical else 0.3) * v.canal_depth
    tip = (out + (2 if lumbar else 0), near - 2, high * v.height)
    upper = _capsule(local, (out, near, 0.0), tip, thick, 0.75 * thick)
    side = out if cervical else root - (1.0 if lumbar else 2.0)
    tip = (side, near - (7 if lumbar else 4), -low * v.height)
    lower = _capsule(local, (side, near - 3, 0.0), tip, thick, 0.7 * thick)
    return np.minimum(upper, lower)


def _lamina(v: Vertebra, local: Local, root: float, roof: float, lift: float) -> Array:
    """Plates that close the canal behind, from the pedicles to the midline."""
    thick = 2.7 if v.place < 7 else 0.07 * v.height + 1.4
    t = np.clip(local.aside / root, 0, 1)
    line = (roof - thick) + t * (0.42 * v.canal_depth + thick)
    top, bottom = lift + 0.12 * v.height - 0.12 * v.height * (1 - t), -0.62 * v.height + 0.12 * v.height * t
    plate = np.abs(local.front - line) - thick
    tall = np.maximum(local.up - top, bottom - local.up)
    result: Array = np.maximum(np.maximum(plate, tall), local.aside - root - 1.5)
    return result


def _spinous(v: Vertebra, local: Local, roof: float) -> Array:
    """A plate in the midline that sinks toward its tip, thicker at the tip; square in the lumbar spine."""
    along = np.clip((roof - local.front) / max(v.spinous, 1e-3), 0, 1.2)
    start = -0.15 * v.height
    middle = start + along * (-v.spinous_drop - start)
    half_height = v.spinous_height / 2 * (1.05 - 0.15 * along)
    half_width = (2.8 + 1.8 * np.maximum(along - 0.55, 0) * 2) * np.float32((v.height / 22) ** 0.5)
    ends = np.maximum(local.front - roof, (roof - v.spinous) - local.front)
    plate = smooth_max(local.aside - half_width, np.abs(local.up - middle) - half_height, 3.0)
    return smooth_max(plate, ends, 6.0)


def _transverse(v: Vertebra, local: Local, root: float, roof: float, lift: float) -> Array:
    """To the side: in front and holed in the neck, backward and stout in the chest, flat and long in the loin."""
    mid = roof + 0.45 * v.canal_depth
    if v.place < 6.5:
        edge = v.width / 2
        front = _capsule(local, (edge - 1, 1.0, -1.0), (v.transverse - 2, 0.0, -2.0), 3.1, 3.2)
        back = _capsule(local, (root, mid + 4, 0.0), (v.transverse - 2, -4.0, -2.0), 3.8, 3.2)
        joint = _capsule(local, (v.transverse - 3, 0.0, -2.0), (v.transverse - 3, -4.0, -2.0), 3.1, 3.1)
        hole = np.sqrt((local.aside - edge - 4.0) ** 2 + (local.front + 2.5) ** 2) - 2.8
        result: Array = np.maximum(np.minimum(np.minimum(front, back), joint), -hole)
        return result
    if v.place < 18.9:  # C7 and the thoracic ones
        late = np.clip((v.place - 16.5) / 2, 0, 1)
        thick = (4.8 - 0.6 * late) * (v.height / 20)
        tip = (v.transverse - thick, roof - 4 - 3 * (1 - late), lift + 0.12 * v.height * (1 - late))
        return _capsule(local, (root, mid, lift - 1), tip, 1.05 * thick, thick)
    last = v.place > 22.7  # the fifth lumbar's are stout, from the body's side
    start = (root, mid + 6, lift) if last else (root, mid + 2, lift)
    tip = (v.transverse - 4, mid + (4 if last else -3), lift + (6 if last else 1))
    flattened = Local(local.right, local.front, local.up * 0.75, local.aside)
    return _capsule(flattened, start, tip, 8.0 if last else 4.8, 4.4)


def _dens(v: Vertebra, local: Local) -> Array:
    """The tooth of the axis, in front of its body's middle."""
    rise = v.height / 2
    front = 0.12 * v.depth
    dens = _capsule(local, (0.0, front, rise - 4), (0.0, front - 1.5, rise + 0.85 * v.height), 5.6, 4.4)
    shoulders = _capsule(local, (8.5, -1.0, 0.1 * v.height), (11.5, -1.0, 0.52 * v.height), 6.0, 5.0)
    result: Array = np.minimum(dens, shoulders)
    return result


def _atlas(v: Vertebra, local: Local) -> Array:
    """A ring with two lateral masses; no body. Its middle is where a body would be: behind the anterior arch."""
    s = v.height / 10
    back = v.depth / 2 - 5 * s
    mass = _capsule(local, (16 * s, back - 4 * s, -4 * s), (18.5 * s, back - 5 * s, 4 * s), 6.5 * s, 7 * s)
    wing = _capsule(local, (20 * s, back - 5 * s, -1 * s), (v.transverse - 4, back - 9 * s, -1 * s), 4.5 * s, 4 * s)
    hole = np.sqrt((local.aside - 26 * s) ** 2 + (local.front - back + 6 * s) ** 2) - 2.8 * s
    center = back - 10 * s  # of the ring; 30 wide and 34 deep inside
    ring = np.sqrt((local.right / (18.5 * s)) ** 2 + ((local.front - center) / (19 * s)) ** 2)
    ring = np.abs(ring - 1) * 18.5 * s - 2.8 * s
    ring = np.maximum(ring, np.abs(local.up) - 4.5 * s)
    knob = _capsule(local, (0.0, center + 20 * s, 0.0), (3.0, center + 19.5 * s, 0.0), 3.8 * s, 3.5 * s)
    result: Array = np.minimum(np.minimum(mass, np.maximum(wing, -hole)), np.minimum(ring, knob))
    return result
