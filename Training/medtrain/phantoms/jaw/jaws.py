"""One person's jaws, drawn from the outside in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from medinfer.volume import Grid

from ..lattice import Lattice, regular
from .canal import paint_canals
from .canvas import Canvas
from .dentition import draw_jaw
from .head import paint_mouth, paint_outline, paint_spine
from .implants import paint_implants
from .jaw_bones import Pose, Skeleton, draw_skeleton, paint_mandible, paint_maxilla
from .paint_teeth import paint_teeth, place_teeth
from .person import Person, draw_person
from .spec import Jaws, JawSpec

ANYONE = JawSpec()


def draw_jaws(seed: int, spec: JawSpec = ANYONE, spacing: float = 0.5) -> Jaws:
    """Both jaws of a person, from below the chin to the middle of the nose.

    seed: the same seed and spec give the same person at any spacing. spacing: mm between voxels, along all axes.
    """
    rng = np.random.default_rng([seed, 6])
    person = draw_person(rng, spec)
    upper = draw_jaw(rng, person, True)
    lower = draw_jaw(rng, person, False, upper.half_width - float(rng.normal(2.2, 0.6)))
    skeleton = draw_skeleton(rng, person, upper, lower)
    pose = _pose(person, skeleton)
    canvas = _canvas(person, skeleton, pose, spacing)
    paint_outline(canvas, rng, person, skeleton)
    paint_mouth(canvas, rng, person, skeleton)
    paint_spine(canvas, rng, skeleton)
    paint_maxilla(canvas, rng, person, skeleton)
    paint_mandible(canvas, rng, person, skeleton, pose)
    plans = [
        *upper.teeth,
        *(replace(t, frame=t.frame.turned(pose.turn, pose.about).shifted(pose.shift)) for t in lower.teeth),
    ]
    teeth = place_teeth(canvas, plans)
    paint_canals(canvas, rng, person, skeleton, pose)
    paint_teeth(canvas, teeth, dura=float(rng.uniform(0.2, 0.7)))
    paint_implants(canvas, rng, person, skeleton, pose)
    z, y, x = canvas.lattice.step
    matrix = np.diag([x, y, z, 1.0])
    matrix[:3, 3] = canvas.lattice.start[::-1]
    return Jaws(canvas.tissues, canvas.teeth, canvas.canal, Grid(canvas.lattice.shape, matrix))


def _pose(person: Person, skeleton: Skeleton) -> Pose:
    """The mandible turned about the condyles."""
    turn = Rotation.from_euler("x", -person.open_deg, degrees=True).as_matrix()
    y8 = skeleton.back[1]
    about = np.array([0.0, y8 - 38 * skeleton.growth, 41 * skeleton.growth])
    return Pose(turn, about, np.array([0.0, person.forward, 0.0]))


def _canvas(person: Person, skeleton: Skeleton, pose: Pose, spacing: float) -> Canvas:
    """An empty lattice around jaws, lips and the front of the spine."""
    g, (x8, y8) = skeleton.growth, skeleton.back
    chin = pose.to_open(np.array([[0.0, 0.0, -skeleton.base], [0.0, -20.0, -skeleton.base]]))[:, 2].min()
    z = regular(chin - 8, skeleton.vault + 26 * g, spacing)
    y = regular(y8 - 62 * g, float(skeleton.upper.arch.at(0)[1]) + 20 * g, spacing)[::-1]
    half = x8 + 40 * g + 4
    x = regular(-half, half, spacing)[::-1]
    return Canvas.empty(Lattice(z, y, x))
