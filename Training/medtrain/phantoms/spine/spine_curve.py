"""The course of one spine: where each vertebral body lies, how it is turned, how large it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from ..lattice import Floats
from . import measures
from .measures import Physique, at_level, chain
from .spec import LEVELS


@dataclass(frozen=True, eq=False)
class Vertebra:
    """The measures of one vertebra, mm.

    center: middle of the body, RAS. axes: 3×3, rows: the body's right, front and up. place: along LEVELS, 0 is C1.
    wedge: how much lower the front is than the middle (fraction of the height).
    disc: height of the disc below. transverse: half the distance of the tips of the transverse processes.
    spinous, spinous_drop: how far the tip of the spinous process lies behind the canal and below the body's middle.
    """

    name: str
    place: float
    center: Floats
    axes: Floats
    height: float
    width: float
    depth: float
    disc: float
    canal_width: float
    canal_depth: float
    pedicle_width: float
    pedicle_height: float
    transverse: float
    spinous: float
    spinous_drop: float
    spinous_height: float
    wedge: float

    def at(self, right: float, front: float, up: float) -> Floats:
        """A point given in the vertebra's own axes (mm from the body's middle), RAS."""
        point: Floats = self.center + np.array([right, front, up]) @ self.axes
        return point


@dataclass(frozen=True, eq=False)
class Spine:
    """The vertebrae from the head down. size: scale of the skeleton, 1 is a tall adult."""

    vertebrae: tuple[Vertebra, ...]
    size: float

    def of(self, name: str) -> Vertebra:
        """The vertebra of that name; of a missing one the next above it."""
        names = [one.name for one in self.vertebrae]
        place = LEVELS.index(name)
        while LEVELS[place] not in names:
            place -= 1
        return self.vertebrae[names.index(LEVELS[place])]

    def level(self, place: float) -> Floats:
        """The middle line of the bodies at a place along LEVELS (20.5 lies between L2 and L3), RAS mm."""
        places = [one.place for one in self.vertebrae]
        return np.array([np.interp(place, places, [one.center[axis] for one in self.vertebrae]) for axis in range(3)])

    def beside(self, place: float, right: float, front: float, up: float = 0.0) -> Floats:
        """A point that far (mm of a tall adult) from the middle line at a place along LEVELS, RAS mm."""
        point: Floats = self.level(place) + np.array([right, front, up]) * self.size
        return point

    def line(self, z: Floats | float) -> tuple[Floats, Floats]:
        """x and y of the middle line of the bodies at heights z; straight on beyond the ends."""
        centers = np.array([one.center for one in self.vertebrae])[::-1]
        return np.interp(z, centers[:, 2], centers[:, 0]), np.interp(z, centers[:, 2], centers[:, 1])


def draw_spine(rng: np.random.Generator, physique: Physique) -> Spine:
    """S1's body at the origin, the others stacked on it."""
    names, places = chain(physique.variant)
    size = _sizes(rng, physique, places)
    count = len(names)
    wedge = np.where((places > 8) & (places < 20), 0.05, np.where(places >= 22, -0.06, 0.0))
    wedge = wedge + rng.normal(0, 0.02, count)
    forward, side, turn = _angles(rng, physique, places)
    axes = Rotation.from_euler("ZYX", np.stack([turn, side, -forward], axis=1), degrees=True).as_matrix()
    axes = np.swapaxes(axes, 1, 2)  # rows: right, front, up
    centers = _stack(size, axes)
    vertebrae = (
        Vertebra(
            name=names[n],
            place=float(places[n]),
            center=centers[n],
            axes=axes[n],
            wedge=float(wedge[n]),
            **{key: float(values[n]) for key, values in size.items()},
        )
        for n in range(count)
    )
    return Spine(tuple(vertebrae), physique.size)


TABLES = {
    "height": measures.BODY_HEIGHT,
    "width": measures.BODY_WIDTH,
    "depth": measures.BODY_DEPTH,
    "disc": measures.DISC_BELOW,
    "canal_width": measures.CANAL_WIDTH,
    "canal_depth": measures.CANAL_DEPTH,
    "pedicle_width": measures.PEDICLE_WIDTH,
    "pedicle_height": measures.PEDICLE_HEIGHT,
    "transverse": measures.TRANSVERSE,
    "spinous": measures.SPINOUS,
    "spinous_drop": measures.SPINOUS_DROP,
    "spinous_height": measures.SPINOUS_HEIGHT,
}


def _sizes(rng: np.random.Generator, physique: Physique, places: Floats) -> dict[str, Floats]:
    """The measures of all vertebrae, mm: the tables', varied by patient and by vertebra; worn discs, fractures."""
    count = len(places)
    of_patient = {key: physique.size * rng.normal(1, 0.05) for key in TABLES}
    of_patient["height"] = physique.size * rng.normal(1, 0.025)
    of_patient["canal_width"] *= 1.0 + 0.25 * max(0.0, 0.85 - physique.size)  # a child's canal is nearly grown
    size: dict[str, Floats] = {}
    for key, table in TABLES.items():
        spread = 0.06 if "spin" in key or "trans" in key else 0.02  # processes vary most
        size[key] = at_level(table, places) * of_patient[key] * rng.normal(1, spread, count)
    size["height"] *= _fractures(rng, physique, count)
    size["disc"] *= physique.disc * np.clip(rng.normal(1, 0.12, count), 0.5, 1.3)
    if physique.age > 40:  # single worn discs, mostly low ones
        worn = rng.random(count) < 0.004 * (physique.age - 40) * np.where(places > 18, 2, 1)
        size["disc"] *= np.where(worn, rng.uniform(0.25, 0.6, count), 1)
    return size


def _stack(size: dict[str, Floats], axes: Floats) -> Floats:
    """The middles of the bodies, each on the one below it, along the mean of their axes across the disc."""
    centers = np.zeros((len(axes), 3))
    for n in range(len(axes) - 2, -1, -1):
        below, above = axes[n + 1, 2], axes[n, 2]
        middle = (above + below) / np.linalg.norm(above + below)
        rise = below * size["height"][n + 1] / 2 + middle * size["disc"][n] + above * size["height"][n] / 2
        centers[n] = centers[n + 1] + rise
        # bodies deepen downward, their backs stay in line
        centers[n] += 0.5 * (size["depth"][n] - size["depth"][n + 1]) * axes[n, 1] * (n > 1)
    return centers


def _fractures(rng: np.random.Generator, physique: Physique, count: int) -> Floats:
    """Factors on the heights of the bodies: some of the old have compressed ones."""
    factors = np.ones(count)
    if physique.age > 60 and rng.random() < 0.25:
        for n in rng.integers(11, 23, size=rng.integers(1, 4)):
            factors[n] = rng.uniform(0.5, 0.85)
    return factors


def _angles(rng: np.random.Generator, physique: Physique, places: Floats) -> tuple[Floats, Floats, Floats]:
    """Forward tilt, sideways tilt and axial turn of each body, degrees."""
    knots = [LEVELS.index(name) for name in measures.TILT]
    usual = np.array(list(measures.TILT.values()))
    strength = np.clip(rng.normal(1, 0.18), 0.5, 1.5) * (1 + 0.25 * max(0.0, (physique.age - 65) / 30))
    tilts = usual[:, 0] * strength + usual[:, 1] * 0.6 * rng.standard_normal(len(knots))
    forward = PchipInterpolator(knots, tilts)(places)
    forward += rng.normal(0, 2) + rng.normal(0, 1.0, len(places))
    wave = rng.uniform(9, 17)  # levels from one bend to the next
    phase = rng.uniform(0, 2 * np.pi)
    fade = np.clip((24.5 - places) / 4, 0, 1) * np.clip((places + 3) / 8, 0, 1)
    side = 0.5 * physique.scoliosis_deg * np.sin(2 * np.pi * places / wave + phase) * fade
    turn = 0.35 * physique.scoliosis_deg * np.cos(2 * np.pi * places / wave + phase) * fade
    side = side + rng.normal(0, 1.0, len(places))
    turn = turn + rng.normal(0, 1.5) + rng.normal(0, 1.0, len(places))
    neck = rng.normal(0, 8) * np.clip((4 - places) / 4, 0, 1)  # the head turned a little
    return forward, side, turn + neck
