"""One tooth as planned: its number, size, place, how far it has formed, and what a dentist has done to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Floats
from .tooth_sizes import Kind, ToothSize


@dataclass(frozen=True, eq=False)
class Frame:
    """A tooth's axes in jaw coordinates (mm): origin in the middle of its neck; rows mesial, outward, to the crown."""

    origin: Floats
    axes: Floats

    def to_jaw(self, local: Floats) -> Floats:
        """Points `[..., 3]` (mesial, outward, up the crown)."""
        result: Floats = self.origin + np.asarray(local, float) @ self.axes
        return result

    def turned(self, turn: Floats, about: Floats) -> Frame:
        return Frame((self.origin - about) @ turn.T + about, self.axes @ turn.T)

    def shifted(self, shift: Floats) -> Frame:
        return Frame(self.origin + shift, self.axes)


def axes_at(flat: Floats, out: Floats, up: float, lean: float, tip: float, spin: float) -> Floats:
    """Rows mesial, outward, to the crown; from the arch's mesial and outward (x, y) and angles in degrees."""
    a, b, c = np.radians([lean, tip, spin])
    mesial, outward, rise = np.array([*flat, 0.0]), np.array([*out, 0.0]), np.array([0.0, 0.0, up])
    crown = rise + np.tan(a) * outward + np.tan(b) * mesial
    crown /= np.linalg.norm(crown)
    turned = np.cos(c) * mesial + np.sin(c) * outward
    m = turned - (turned @ crown) * crown
    m /= np.linalg.norm(m)
    n = np.cross(crown, m)
    n *= np.sign(n @ outward) if abs(n @ outward) > 1e-6 else 1.0
    return np.stack([m, n, crown])


@dataclass(frozen=True)
class Work:
    """Restorations: a filling (amalgam or composite), a crown, filled roots.

    cavity: where the filling is: from and to (mesial, shares of the half width), how wide (outward, share of the half
    depth), how deep (share of the crown's height).
    """

    amalgam: bool = False
    composite: bool = False
    crown: bool = False
    root_filling: bool = False
    cavity: tuple[float, float, float, float] = (-0.5, 0.5, 0.4, 0.35)


@dataclass(frozen=True, eq=False)
class ToothPlan:
    """upper, kind, place: what it looks like (for a supernumerary tooth: what it resembles); place from the midline.

    crown_formed: 0..1 of the crown, from its tip. root_formed: 0..1 of the root (also what resorption has left).
    erupted: in the mouth. crest: mm from neck to the bone's edge. pulp: its size as a factor. bend: mm by which the
    apices are bent to distal. spread: how far the roots stand apart, as a factor. optional: not drawn if it finds
    no room.
    """

    number: int
    upper: bool
    kind: Kind
    place: int
    deciduous: bool
    size: ToothSize
    frame: Frame
    crown_formed: float = 1.0
    root_formed: float = 1.0
    erupted: bool = True
    crest: float = 1.5
    pulp: float = 1.0
    bend: float = 0.8
    spread: float = 1.0
    two_roots: bool = False
    cusps: float = 1.0
    optional: bool = False
    work: Work = Work()

    @property
    def root_length(self) -> float:
        """mm of root there is."""
        return self.size.root * self.root_formed
