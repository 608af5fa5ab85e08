"""Star-shaped nodules of exact volume and centre of mass.

The surface is r(direction), kept as a table over polar angle and azimuth. Volume and centre of mass are integrals of
r³ and r⁴ over that table, so scaling and shifting make both exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..lattice import Array, Floats
from .spec import Kind

POLAR, AZIMUTH = 96, 192


def _directions() -> tuple[Floats, Floats]:
    """Unit vectors `[polar, azimuth, 3]` of the table's cells and their solid angles."""
    theta = (np.arange(POLAR) + 0.5) * np.pi / POLAR
    phi = (np.arange(AZIMUTH) + 0.5) * 2 * np.pi / AZIMUTH
    t, p = np.meshgrid(theta, phi, indexing="ij")
    unit = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1)
    area = np.sin(t)
    return unit, area * (4 * np.pi / area.sum())


DIRECTIONS, SOLID_ANGLE = _directions()


@dataclass(frozen=True, eq=False)
class StarShape:
    """A closed surface around `origin` (x, y, z mm): `table[polar, azimuth]` is its radius in mm."""

    origin: Floats
    table: Array

    @property
    def reach(self) -> float:
        return float(self.table.max())

    def radius(self, unit: Floats) -> Floats:
        """Radius along unit vectors `[n, 3]`, linear between the table's cells."""
        row = np.arccos(np.clip(unit[:, 2], -1, 1)) * (POLAR / np.pi) - 0.5
        column = np.mod(np.arctan2(unit[:, 1], unit[:, 0]), 2 * np.pi) * (AZIMUTH / (2 * np.pi)) - 0.5
        wrapped = np.concatenate([self.table[:, -1:], self.table, self.table[:, :1]], axis=1)
        result: Floats = ndimage.map_coordinates(wrapped, [row, column + 1], order=1, mode="nearest")
        return result

    def depth(self, points: Floats) -> Floats:
        """How deep under the surface `points` `[n, 3]` lie, along the ray from the origin, mm."""
        off = points - self.origin
        away = np.linalg.norm(off, axis=1)
        result: Floats = self.radius(off / (away[:, None] + 1e-9)) - away
        return result


def settle(table: Floats, center: Floats, diameter: float, edge: float = 0.0) -> StarShape:
    """Scale to the volume of a sphere of `diameter` and shift so that the centre of mass is `center`.

    With a border of width e that falls linearly along each ray: ∫ρ² = r³/3 + r e²/12 and ∫ρ³ = r⁴/4 + r² e²/8.
    """
    volume = np.pi / 6 * diameter**3
    cubic, linear = np.sum(table**3 * SOLID_ANGLE) / 3, np.sum(table * SOLID_ANGLE) * edge**2 / 12
    scale = max(root.real for root in np.roots([cubic, 0, linear, -volume]) if abs(root.imag) < 1e-9)
    table = table * scale
    moment = (table**4 / 4 + table**2 * edge**2 / 8) * SOLID_ANGLE
    shift = np.sum(moment[..., None] * DIRECTIONS, axis=(0, 1)) / volume
    return StarShape(np.asarray(center, dtype=np.float64) - shift, table.astype(np.float32))


def _bumps(rng: np.random.Generator, count: int, height: tuple[float, float], sharpness: tuple[float, float]) -> Floats:
    """Sum of bell-shaped bumps on the sphere."""
    total: Floats = np.zeros((POLAR, AZIMUTH))
    for _ in range(count):
        middle = rng.standard_normal(3)
        middle /= np.linalg.norm(middle)
        total += rng.uniform(*height) * np.exp(rng.uniform(*sharpness) * (DIRECTIONS @ middle - 1))
    return total


def _turn(rng: np.random.Generator) -> Floats:
    """A random rotation (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    result: Floats = q * np.sign(np.diag(r))
    return result


def draw_shape(
    rng: np.random.Generator, center: Floats, diameter: float, *, rough: float = 1.0, edge: float = 0.0
) -> StarShape:
    """Smooth, lobulated or spiculated (the larger, the rougher); `rough` scales every departure from a sphere."""
    axes = np.exp(rng.uniform(-0.26, 0.26, 3) * rough)
    table = 1 / np.linalg.norm((DIRECTIONS @ _turn(rng)) / axes, axis=-1)
    large = np.clip((diameter - 6) / 10, 0, 1)
    odds = (1 - large) * np.array([0.5, 0.33, 0.17]) + large * np.array([0.15, 0.37, 0.48])
    style = rng.choice(["smooth", "lobulated", "spiculated"], p=odds)
    table *= 1 + rough * _bumps(rng, 8, (-0.09, 0.09), (3, 14))
    if style != "smooth":
        table *= 1 + rough * _bumps(rng, int(rng.integers(3, 9)), (0.05, 0.34), (5, 22))
        table *= 1 + rough * _bumps(rng, 60, (-0.07, 0.07), (20, 120))
    if style == "spiculated":
        table *= 1 + rough * _bumps(rng, int(rng.integers(8, 30)), (0.15, 0.9), (50, 220))
    return settle(np.maximum(table, 0.25), center, diameter, edge)


@dataclass(frozen=True, eq=False)
class Strand:
    """A thin line from the nodule's surface into the lung: points `[n, 3]` x, y, z mm, radius mm."""

    points: Floats
    radius: float
    fill: float


def draw_strands(rng: np.random.Generator, shape: StarShape, diameter: float) -> tuple[Strand, ...]:
    """Lines that radiate from the surface, slightly bent."""
    strands = []
    for _ in range(int(rng.integers(3, 14))):
        way = rng.standard_normal(3)
        way /= np.linalg.norm(way)
        start = shape.origin + way * 0.8 * shape.radius(way[None])[0]
        length = float(rng.uniform(2.5, 5 + 0.5 * diameter))
        bent = way + 0.35 * rng.standard_normal(3)
        middle, end = start + way * length / 2, start + (way + bent) * length / 2
        radius, fill = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.9)
        strands.append(Strand(np.array([start, middle, end]), float(radius), float(fill)))
    return tuple(strands)


@dataclass(frozen=True, eq=False)
class NoduleModel:
    """A nodule to be blended into lung: what part of the air it fills, and with what.

    outer: its border; volume and centre of the truth are its. fill: part of the air filled inside it (1: solid).
    core: the solid part of a part-solid one. target_hu: HU of its solid substance. edge_mm: width of its border.
    mottle: relative unevenness of the filling. bubbles: part of it that is air. calcified: a dense part.
    strands: what radiates from it, not counted in its volume, as readers do.
    """

    kind: Kind
    outer: StarShape
    fill: float
    target_hu: float
    edge_mm: float
    mottle: float
    core: StarShape | None = None
    bubbles: float = 0.0
    calcified: StarShape | None = None
    strands: tuple[Strand, ...] = ()

    @property
    def reach(self) -> float:
        """mm from the outer shape's origin to the farthest point drawn."""
        ends = [float(np.linalg.norm(s.points - self.outer.origin, axis=1).max()) + s.radius for s in self.strands]
        return max([self.outer.reach + self.edge_mm, *ends])


def draw_nodule(rng: np.random.Generator, center: Floats, diameter: float, kind: Kind) -> NoduleModel:
    """HU after the field's descriptions: solid about −50…80, ground glass −750…−450, part-solid both."""
    center = np.asarray(center, dtype=np.float64)
    target = float(rng.uniform(-50, 80))
    if kind == "solid":
        return _draw_solid(rng, center, diameter, target)
    edge = float(min(rng.uniform(0.8, 3.5), 0.3 * diameter))
    outer = draw_shape(rng, center, diameter, rough=float(rng.uniform(0.6, 1.0)), edge=edge)
    strands = draw_strands(rng, outer, diameter) if rng.random() < 0.35 else ()
    if kind == "ground-glass":
        return NoduleModel(kind, outer, float(rng.uniform(0.18, 0.48)), target, edge, 0.3, strands=strands)
    off = rng.standard_normal(3) * 0.07 * diameter
    core = draw_shape(rng, center + off, diameter * rng.uniform(0.35, 0.75), rough=1.0, edge=0.8)
    return NoduleModel(kind, outer, float(rng.uniform(0.2, 0.5)), target, edge, 0.3, core, strands=strands)


def _draw_solid(rng: np.random.Generator, center: Floats, diameter: float, target: float) -> NoduleModel:
    edge = float(min(rng.choice([0.0, 0.6, 1.5]), 0.2 * diameter))
    outer = draw_shape(rng, center, diameter, rough=float(rng.uniform(0.4, 1.1)), edge=edge)
    chalk = draw_shape(rng, center, diameter * rng.uniform(0.4, 0.95), rough=0.4) if rng.random() < 0.08 else None
    strands = draw_strands(rng, outer, diameter) if rng.random() < np.clip((diameter - 5) / 18, 0, 0.6) else ()
    bubbles = float(rng.uniform(0.05, 0.25)) if diameter > 10 and rng.random() < 0.2 else 0.0
    mottle = float(rng.uniform(0, 0.06))
    return NoduleModel("solid", outer, 1.0, target, edge, mottle, bubbles=bubbles, calcified=chalk, strands=strands)
