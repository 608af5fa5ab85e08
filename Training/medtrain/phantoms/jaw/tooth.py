"""The shape of one tooth in its own axes, as signed distances: crown with cusps, roots, pulp and canals, enamel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Array, Lattice, Mask
from ..shapes import smooth_max, smooth_min
from .tooth_plan import Frame, ToothPlan


@dataclass(frozen=True, eq=False)
class Local:
    """Coordinates of a box's voxels in a tooth's axes, mm: mesial, outward, up (from the neck to the crown's tip)."""

    mesial: Array
    outward: Array
    up: Array


@dataclass(frozen=True, eq=False)
class ToothShape:
    """Over a box: distances to the surface of the whole tooth and of its crown (mm, negative inside); where enamel
    and pulp (with the root canals) are.
    """

    local: Local
    distance: Array
    crown: Array
    enamel: Mask
    pulp: Mask


@dataclass(frozen=True)
class Root:
    """A root's axis from (m0, b0) at the neck to (m1, b1) at the apex, its half widths at the neck, its length."""

    m0: float
    b0: float
    m1: float
    b1: float
    half_m: float
    half_b: float
    length: float


def local_coordinates(lattice: Lattice, frame: Frame) -> Local:
    z, y, x = lattice.open()
    z, y, x = z - np.float32(frame.origin[2]), y - np.float32(frame.origin[1]), x - np.float32(frame.origin[0])
    mesial, outward, up = (x * np.float32(a[0]) + y * np.float32(a[1]) + z * np.float32(a[2]) for a in frame.axes)
    return Local(mesial, outward, up)


def corners(plan: ToothPlan) -> Array:
    """Jaw coordinates `[8, 3]` of a box that holds the tooth."""
    s = plan.size
    wide_m = s.width / 2 + 1.5 * plan.spread + abs(plan.bend)
    wide_b = s.depth / 2 + 2.0 * plan.spread
    low = -plan.root_length if plan.root_formed > 0 else 0.0
    ends = [(m, b, u) for m in (-wide_m, wide_m) for b in (-wide_b, wide_b) for u in (low, s.crown)]
    result: Array = plan.frame.to_jaw(np.array(ends))
    return result


def tooth_shape(lattice: Lattice, plan: ToothPlan) -> ToothShape:
    """The tooth over a lattice."""
    local = local_coordinates(lattice, plan.frame)
    s = plan.size
    crown = _crown(plan, local)
    roots = roots_of(plan)
    distance = crown
    if plan.root_formed > 0:
        distance = smooth_min(crown, _roots(plan, local, roots), 1.0)
    unformed = np.float32(s.crown * (1 - plan.crown_formed)) - local.up
    if plan.crown_formed < 1:
        distance = np.maximum(distance, unformed)
    enamel = _enamel(plan, local, crown)
    pulp = _pulp(plan, local, roots)
    if plan.crown_formed < 1 or plan.root_formed < 0.05:  # an open bell: papilla under a thin cap
        pulp = pulp | ((crown < -1.6) & (local.up < s.crown * (1 - plan.crown_formed) + 2.5))
    return ToothShape(local, distance, crown, enamel, pulp & (distance < -0.2))


def _radial(m: Array, b: Array, half_m: Array | float, half_b: Array | float, square: float) -> Array:
    """Distance along the ray to a cross-section between an ellipse (square 0) and a squircle (1)."""
    a2, b2 = (m / half_m) ** 2, (b / half_b) ** 2
    q = np.sqrt((1 - square) * (a2 + b2) + square * np.sqrt(a2 * a2 + b2 * b2)) + np.float32(1e-3)
    result: Array = np.sqrt(m * m + b * b) * (1 - 1 / q)
    return result


def _crown(plan: ToothPlan, local: Local) -> Array:
    """Widest at the contacts (mesiodistal) and near the neck (buccolingual); its top cut by edge or cusps."""
    s = plan.size
    t = np.clip(local.up / s.crown, -0.2, 1.1)
    front = plan.kind in ("incisor", "canine")
    contact = 0.75 if plan.kind == "incisor" else 0.6
    rise = np.clip(t / contact, 0, 1)
    half_m = s.neck_width / 2 + (s.width - s.neck_width) / 2 * rise * (2 - rise)
    half_m = half_m * (
        1 - (0.06 if plan.kind == "incisor" else 0.25) * np.clip((t - contact) / (1 - contact), 0, 1) ** 2
    )
    bulge = 0.28 if front else 0.35
    swell = np.clip(t / bulge, 0, 1)
    half_b = s.neck_depth / 2 + (s.depth - s.neck_depth) / 2 * swell * (2 - swell)
    late = np.clip((t - bulge) / (1 - bulge), 0, 1)
    if front:
        tip = 0.85 if plan.kind == "incisor" else 1.1
        half_b = half_b * (1 - late) + tip * late - 0.5 * late * (1 - late)  # hollow on the tongue's side
        middle = (0.12 if plan.upper else 0.0) * s.depth * late * (1 - 0.5 * late)
        side = _radial(local.mesial, local.outward - middle, half_m, half_b, 0.45)
    else:
        half_b = half_b * (1 - 0.30 * late * late)
        side = _radial(local.mesial, local.outward, half_m, half_b, 0.75 if plan.kind == "molar" else 0.35)
    top = (local.up - _occlusal(plan, local)) * np.float32(0.88)
    body = smooth_max(side, top, 0.9 if front else 1.6)
    result: Array = np.maximum(body, -local.up - 0.6)
    return result


# middle of the cusps as shares of the half widths (mesial, outward), and how much lower than the highest, mm
UPPER_MOLAR = ((0.45, 0.55, 0.2), (-0.5, 0.5, 0.5), (0.35, -0.5, 0.0), (-0.55, -0.45, 1.0))
UPPER_LAST = ((0.45, 0.55, 0.2), (-0.5, 0.5, 0.6), (0.0, -0.55, 0.0))
LOWER_FIRST = ((0.6, 0.5, 0.3), (0.0, 0.6, 0.4), (-0.65, 0.35, 0.8), (0.45, -0.5, 0.0), (-0.4, -0.5, 0.2))
LOWER_MOLAR = ((0.5, 0.5, 0.2), (-0.5, 0.5, 0.3), (0.5, -0.5, 0.0), (-0.5, -0.5, 0.2))
UPPER_PREMOLAR = ((0.05, 0.52, 0.0), (0.1, -0.52, 0.6))
LOWER_PREMOLAR = ((0.0, 0.35, 0.0), (0.1, -0.6, 1.8))


def _cusps(plan: ToothPlan) -> tuple[tuple[float, float, float], ...]:
    if plan.kind == "premolar":
        return UPPER_PREMOLAR if plan.upper else LOWER_PREMOLAR
    if plan.upper:
        return UPPER_LAST if plan.place == 8 else UPPER_MOLAR
    return LOWER_FIRST if plan.place == 6 or (plan.deciduous and plan.place == 5) else LOWER_MOLAR


def _occlusal(plan: ToothPlan, local: Local) -> Array:
    """Height of the crown's top over the neck."""
    s = plan.size
    if plan.kind == "incisor":
        across = local.mesial / (s.width / 2)
        fall = np.where(across < 0, np.float32(0.09), np.float32(0.03)) * across**4  # the distal corner is rounder
        edge: Array = np.float32(s.crown) * (1 - fall)
        return edge
    if plan.kind == "canine":
        slope = np.where(local.mesial < 0.3, np.float32(0.5), np.float32(0.38))
        result: Array = s.crown + 0.25 - slope * np.sqrt((local.mesial - 0.3) ** 2 + 0.25)
        return result
    top = np.full_like(local.up, s.crown - 3.2 * plan.cusps)
    for m, b, lower in _cusps(plan):
        away = np.sqrt((local.mesial - m * s.width / 2) ** 2 + (local.outward - b * s.depth / 2) ** 2 + 0.35)
        np.maximum(top, np.float32(s.crown - lower * plan.cusps + 0.35) - np.float32(0.62 * plan.cusps) * away, out=top)
    return top


def roots_of(plan: ToothPlan) -> tuple[Root, ...]:
    """The roots by kind of tooth; apices drift to distal by `bend`."""
    s, w, bend = plan.size, plan.spread, -plan.bend
    half_m, half_b, long = s.neck_width / 2, s.neck_depth / 2, s.root
    if plan.kind == "molar" and plan.upper:
        fuse = 0.5 if plan.place == 8 else 1.0
        a, b = 0.45 * half_m, 0.48 * half_b
        out = fuse * w
        return (
            Root(a, b, a + 0.9 * out + bend, b + 0.8 * out, 0.50 * half_m, 0.42 * half_b, 0.96 * long),
            Root(-a, b, -a - 0.8 * out + bend, b + 0.6 * out, 0.46 * half_m, 0.38 * half_b, 0.92 * long),
            Root(0, -b, 0.3 * bend, -b - 1.6 * out, 0.56 * half_m, 0.46 * half_b, 1.04 * long),
        )
    if plan.kind == "molar":
        a = 0.50 * half_m
        out = (0.4 if plan.place == 8 else 1.0) * w
        return (
            Root(a, 0, a + 0.6 * out + 1.4 * bend, 0, 0.47 * half_m, 0.80 * half_b, long),
            Root(-a, 0, -a - 0.9 * out + bend, 0, 0.45 * half_m, 0.70 * half_b, 0.94 * long),
        )
    if plan.two_roots:
        b = 0.45 * half_b
        return (
            Root(0, b, bend, b + 0.7 * w, 0.78 * half_m, 0.50 * half_b, long),
            Root(0, -b, bend, -b - 0.7 * w, 0.74 * half_m, 0.48 * half_b, 0.95 * long),
        )
    return (Root(0, 0, bend, 0, half_m, half_b, long),)


def trunk(plan: ToothPlan) -> float:
    """How far the roots are one, mm below the neck."""
    if plan.two_roots:
        return 0.45 * plan.size.root
    if plan.kind != "molar":
        return plan.size.root
    share = {4: 0.15, 5: 0.15}.get(plan.place, 0.3 if plan.place < 8 else 0.5)
    return share * plan.size.root


def _along(root: Root, depth: Array) -> tuple[Array, Array, Array]:
    """Middle of a root at a depth below the neck, and its thickness as a share of that at the neck."""
    t = np.clip(depth / root.length, 0, 1)
    bow = t * t * (1.6 - 0.6 * t)
    thick = np.sqrt(np.maximum(1 - t**2.5, 0)) * (1 - 0.42 * t)
    return root.m0 + (root.m1 - root.m0) * bow, root.b0 + (root.b1 - root.b0) * (0.35 * t + 0.65 * bow), thick


def _roots(plan: ToothPlan, local: Local, roots: tuple[Root, ...]) -> Array:
    s, depth = plan.size, -local.up
    result: Array | None = None
    for root in roots:
        m, b, thick = _along(root, depth)
        thick = np.maximum(thick, np.float32(0.12))
        one = _radial(local.mesial - m, local.outward - b, root.half_m * thick, root.half_b * thick, 0.15)
        one = np.maximum(one, depth - min(root.length, plan.root_length))
        result = one if result is None else np.minimum(result, one)
    assert result is not None
    if len(roots) > 1:
        long = trunk(plan)
        slim = 1 - 0.12 * np.clip(depth / long, 0, 1)
        body = _radial(local.mesial, local.outward, s.neck_width / 2 * slim, s.neck_depth / 2 * slim, 0.4)
        body = np.maximum(body, depth - min(long, plan.root_length))
        result = smooth_min(result, body, 0.8)
    within: Array = np.maximum(result, local.up - 0.3 * s.crown)
    return within


def _enamel(plan: ToothPlan, local: Local, crown: Array) -> Mask:
    """A cap that thickens from the neck's line to the cusps; the line rises between the teeth."""
    s = plan.size
    rise = (1.0 if plan.kind in ("incisor", "canine") else 0.4) * (0.5 if plan.deciduous else 1)
    line = rise * ((2 * local.mesial / s.neck_width) ** 2 - (2 * local.outward / s.neck_depth) ** 2 * 0.4 - 0.3)
    over = local.up - np.clip(line, -0.8, 2.2)
    front = plan.kind in ("incisor", "canine")
    thickest = (0.65 if front else 0.8) if plan.deciduous else (0.95 if front else 1.4)
    thick = thickest * np.sqrt(np.clip(over / (0.65 * s.crown), 0, 1))
    result: Mask = (over > 0) & (crown > -thick)
    return result


def _pulp(plan: ToothPlan, local: Local, roots: tuple[Root, ...]) -> Mask:
    """Chamber in crown and trunk, and a canal down each root (two in a flat mesial root)."""
    s, wide, depth = plan.size, plan.pulp, -local.up
    many = len(roots) > 1
    floor = 0.7 * trunk(plan) if many else 0.3 * s.root
    top = (0.48 if plan.kind in ("incisor", "canine") else 0.42) * s.crown * (0.7 + 0.3 * wide)
    slim = 0.34 * wide * (1 - 0.5 * np.clip(local.up / s.crown, 0, 1))
    room = _radial(local.mesial, local.outward, s.neck_width / 2 * slim, s.neck_depth / 2 * slim, 0.4)
    pulp = smooth_max(room, np.maximum(local.up - top, depth - floor), 0.8) < 0
    open_apex = 1.0 if plan.root_formed >= 1 or plan.deciduous else 1 + 1.5 * (1 - plan.root_formed)
    for root in roots:
        m, b, thick = _along(root, depth)
        narrow = np.maximum(0.2 * wide * open_apex * thick, 0.02)
        flat = root.half_b > 1.5 * root.half_m
        half_m = np.maximum(root.half_m * narrow, 0.28)
        half_b = np.maximum(root.half_b * narrow * (0.6 if flat else 1), 0.28)
        shifts = (0.45, -0.45) if flat and plan.kind == "molar" and root.m0 > 0 else (0.0,)
        reach = (depth > 0.3 * floor) & (depth < plan.root_length)
        for shift in shifts:
            off = shift * root.half_b * thick
            pulp |= reach & (_radial(local.mesial - m, local.outward - b - off, half_m, half_b, 0.0) < 0)
    return pulp
