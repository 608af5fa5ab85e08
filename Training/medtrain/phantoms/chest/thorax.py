"""The surfaces of the chest as distance fields: thorax, lungs, diaphragm, fissures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..lattice import Array, Lattice
from ..shapes import as_distance, clouds, ellipsoid, smooth_max, smooth_min, tube
from .physique import Physique


@dataclass(frozen=True, eq=False)
class Thorax:
    """Distance fields (mm, negative inside) on one lattice.

    hull: inner chest wall. diaphragm: negative below. mediastinum: what keeps the lungs apart. lungs: both lungs.
    fissure: signed distance to the oblique fissures (negative: lower lobe). minor: to the horizontal one (right lung).
    """

    hull: Array
    diaphragm: Array
    mediastinum: Array
    lungs: Array
    fissure: Array
    minor: Array


def spine_y(physique: Physique, z: ArrayLike) -> Array:
    """Front-to-back place of the middle of the vertebral bodies (a gentle kyphosis)."""
    s = physique.level(z)
    y: Array = -physique.half_depth + physique.spine_from_back + 6 * s - 14 * s**3
    return y.astype(np.float32)


def rib_band(lattice: Lattice, physique: Physique) -> Array:
    """Height above the middle of the nearest rib, along the ribs' slope, mm; they fall 110 mm from spine to front."""
    z, y, x = lattice.open()
    along = z + 55 / physique.half_depth * (y - physique.half_depth * 0.2) + 0.12 * np.abs(x)
    band: Array = np.mod(along, physique.rib_spacing) - physique.rib_spacing / 2
    return band.astype(np.float32)


def hull_field(lattice: Lattice, physique: Physique, power: float = 2.4) -> Array:
    """Inner chest wall: superellipses that narrow upward and lean back."""
    z, y, x = lattice.open()
    s = physique.level(z)
    half_x = physique.half_width * (1 - 0.50 * s**2.4)
    half_y = physique.half_depth * (1 - 0.45 * s**2.4)
    v = (y + 0.2 * physique.half_depth * s**2) / half_y
    v = np.where(v < 0, v / (1 - 0.04 * np.minimum(1, np.abs(x) / half_x)), v)
    radius = (np.abs(x / half_x) ** power + np.abs(v) ** power) ** np.float32(1 / power)
    field: Array = ((radius - 1) * 0.5 * (half_x + half_y)).astype(np.float32)
    return as_distance(field, abs(float(lattice.step[1])))


def diaphragm_field(lattice: Lattice, physique: Physique, wobble: Array) -> Array:
    """Height below the two domes (positive above is lung)."""
    z, y, x = lattice.open()

    def dome(center_x: float, top: float) -> Array:
        rho2 = ((x - center_x) / (0.62 * physique.half_width)) ** 2
        rho2 = rho2 + ((y - 0.15 * physique.half_depth) / (0.95 * physique.half_depth)) ** 2
        height: Array = top - physique.recess * 0.62 * rho2
        return height

    right = dome(0.5 * physique.half_width, 0.0)
    left = dome(-0.55 * physique.half_width, physique.left_dome)
    mix = np.clip((x + 12) / 24, 0, 1)
    top = mix * right + (1 - mix) * left
    return as_distance((z - top + 2.5 * wobble).astype(np.float32), abs(float(lattice.step[1])))


def mediastinum_field(lattice: Lattice, physique: Physique, wobble: Array) -> Array:
    """Everything between the lungs: great vessels, heart, hila, spine."""
    z, y, x = lattice.open()
    height, width = physique.height, physique.half_width
    back = spine_y(physique, z)
    heart = 1.0 * physique.heart
    upper = np.sqrt(((x + 2) / 30) ** 2 + ((y + 6) / (0.5 * physique.half_depth)) ** 2)
    upper = (upper - 1) * 30 + np.maximum(0, 0.5 * height - z) * 0.9
    field = smooth_min(np.abs(x + 3 - 0.06 * y) - 3 + 0 * y + 0 * z, upper.astype(np.float32), 14)
    field = smooth_min(
        field, ellipsoid(lattice, (-24 * heart, 14, 0.10 * height), (62 * heart, 50 * heart, 56 * heart)), 12
    )
    right_atrium = ellipsoid(lattice, (16 * heart, 6, 0.2 * height), (32 * heart, 36, 50))
    field = smooth_min(field, right_atrium, 10)
    aorta = np.sqrt((x + 24) ** 2 + (y - back - 20) ** 2) - 17 + np.maximum(0, z - 0.66 * height) * 0.8
    field = smooth_min(field, aorta.astype(np.float32), 8)
    field = smooth_min(field, (np.sqrt((x / 20) ** 2 + ((y - back - 26) / 20) ** 2) - 1) * 20 + 0 * z, 10)
    vertebra = (np.sqrt((x / 25) ** 2 + ((y - back) / 21) ** 2) - 1) * 22
    behind = (np.abs(x) - 21 - 0.55 * np.maximum(back - y, 0)) + np.maximum(y - back, 0) * 3
    field = smooth_min(field, smooth_min(vertebra + 0 * z, behind + 0 * z, 8).astype(np.float32), 6)
    for side in (-1, 1):
        hilum = ellipsoid(lattice, (side * 0.27 * width, -8, 0.50 * height), (13, 15, 22))
        field = smooth_min(field, hilum, 10)
    result: Array = field + 1.6 * wobble
    return result


def make_thorax(lattice: Lattice, physique: Physique, rng: np.random.Generator) -> Thorax:
    z, y, x = lattice.open()
    height, width, depth = physique.height, physique.half_width, physique.half_depth
    wobble = clouds(rng, lattice, 34)
    dents = np.exp(-((rib_band(lattice, physique) / 7) ** 2)) * np.clip((np.abs(x) - 25) / 20, 0, 1)
    hull = hull_field(lattice, physique) + 1.2 * wobble + np.float32(rng.uniform(0.3, 2.2)) * (dents - 0.4)
    diaphragm = diaphragm_field(lattice, physique, clouds(rng, lattice, 60))
    mediastinum = mediastinum_field(lattice, physique, clouds(rng, lattice, 26))
    apex = height * np.where(x > 0, 1.0, np.float32(0.98))
    away2 = ((np.abs(x) - 0.30 * width) / (0.42 * width)) ** 2 + ((y + 0.2 * depth) / depth) ** 2
    apex = apex - 0.15 * height * away2
    cap = as_distance((z - apex).astype(np.float32), abs(float(lattice.step[1])))
    lungs = smooth_max(hull, cap, 14)
    lungs = smooth_max(lungs, -mediastinum, 5)
    lungs = smooth_max(lungs, -diaphragm, 5)
    tilt = rng.uniform(0.85, 1.15)
    bend = clouds(rng, lattice, 70)
    middle = rng.uniform(0.30, 0.40) * height + np.where(x > 0, 0, rng.uniform(-8, 12))
    fissure = (z - middle + tilt * 0.62 * height / depth * y * 0.9 + 5 * bend) * np.float32(0.62)
    minor = z - rng.uniform(0.42, 0.52) * height + 0.12 * (y - 20) + 4 * clouds(rng, lattice, 60)
    return Thorax(hull, diaphragm, mediastinum, lungs, fissure.astype(np.float32), minor.astype(np.float32))


def chest_wall(hull: Array, lattice: Lattice, physique: Physique, rng: np.random.Generator) -> tuple[Array, Array]:
    """Distance fields of the muscle outline and of the skin."""
    z, y, x = lattice.open()
    s = physique.level(z)
    front = np.exp(-(((np.abs(x) - 50) / 55) ** 2)) * np.clip(y / 60, 0, 1) * np.clip((s - 0.35) * 3, 0, 1)
    back = np.clip(-y / 70, 0, 1) * np.clip((np.abs(x) - 15) / 30, 0, 1)
    side = np.clip((s - 0.5) * 2.2, 0, 1.6) * np.clip(0.45 + np.abs(x) / 130, 0, 1)
    thick = physique.muscle + 8 * front + (14 + 14 * np.clip(s - 0.4, 0, 1)) * back + 34 * side
    muscle: Array = hull - thick
    fat = physique.fat * (1 + 0.35 * np.clip(y / 60, -0.6, 1) + 0.2 * clouds(rng, lattice, 80))
    skin: Array = muscle - fat
    table_side = -physique.half_depth - physique.spine_from_back * 0.3 - physique.muscle - physique.fat * 0.6 - 14
    skin = smooth_max(skin, (table_side - y) * np.float32(1.0) + 0 * x + 0 * z - 0.0004 * x**2, 40)
    shoulders = tube(lattice, (-230.0, -15.0, 1.0 * physique.height), (230.0, -15.0, 1.0 * physique.height), 62)
    skin = smooth_min(skin.astype(np.float32), shoulders, 40)
    muscle = smooth_min(muscle.astype(np.float32), shoulders + physique.fat * 0.8, 25)
    return muscle, skin
