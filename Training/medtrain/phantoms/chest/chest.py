"""One synthetic chest CT from a seed: anatomy, then lungs, then nodules, then the scanner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.anatomy.nodule_size import axial_diameters
from medinfer.volume import Grid, Volume

from ..lattice import Array, Floats, Ints, Lattice, regular, transfer
from .distractors import dots, parenchyma, plates, scars, thicken_pleura
from .nodule_cover import blend
from .nodule_placing import Planned, plan_nodules
from .organs import body_without_lungs
from .physique import Physique, draw_physique
from .scanner import Scanner, draw_scanner, finish, loudness, scan, through_slices
from .spec import ChestPhantom, ChestSpec, PhantomNodule
from .thorax import Thorax, make_thorax
from .vessels import Vasculature, make_vasculature, paint_tubes, paint_vessels

COARSE_MM = 2.2  # lattice of the anatomy outside the lungs
FINE_Z_MM = 1.0  # coarsest z step inside the lungs before the slice profile
LEAF_MM = 8.5  # distance of neighbouring vessel ends
ADULT = ChestSpec()


def make_chest(seed: int, spec: ChestSpec = ADULT) -> ChestPhantom:
    """A chest CT with exact truth; the same seed and spec give the same voxels.

    The volume's axes run to the patient's left, back and head, as in DICOM.
    """
    streams = np.random.SeedSequence(seed).spawn(8)
    body, machine, wall, soft, blood, lesion, texture, noise = (np.random.default_rng(s) for s in streams)
    physique = draw_physique(body, spec)
    scanner = draw_scanner(machine, spec, physique)
    slices = _image_lattice(physique, scanner, machine)
    coarse = _coarse_lattice(slices)
    thorax = make_thorax(coarse, physique, wall)
    lungs = thicken_pleura(thorax.lungs, coarse, physique, wall) if spec.distractors else thorax.lungs
    outside = body_without_lungs(coarse, physique, thorax, soft)
    if spec.table or (spec.table is None and machine.random() < 0.8):
        _paint_table(outside, coarse, physique)

    fine = _lung_lattice(slices, coarse, lungs)
    edge = fine.pixel_edge
    inside = np.clip(0.5 - transfer(lungs, coarse, fine.lattice, cubic=True) / edge, 0, 1)
    depth = _depth(lungs, coarse)
    vessels = make_vasculature(_targets(lungs, depth, thorax, coarse, blood), physique, blood, 0.5 * edge)
    quiet = _lung_hu(fine.lattice, coarse, thorax, vessels, physique, depth, texture, rich=spec.distractors)
    quiet = inside * quiet + (1 - inside) * transfer(outside, coarse, fine.lattice)
    quiet += paint_vessels(fine.lattice, vessels) * np.maximum(physique.blood_hu - quiet, 0)
    quiet += inside * paint_tubes(fine.lattice, vessels.walls) * np.maximum(20 - quiet, 0)
    quiet += inside * paint_tubes(fine.lattice, vessels.lumen) * (-985 - quiet)
    quiet += paint_tubes(fine.lattice, vessels.trachea_walls) * np.maximum(20 - quiet, 0)
    quiet += paint_tubes(fine.lattice, vessels.trachea) * (-985 - quiet)

    planned = plan_nodules(spec, lungs, depth, coarse, vessels, lesion)
    truth = [_draw(quiet, inside, fine.lattice, plan, lesion) for plan in planned]

    hu = _image(quiet, outside, fine.lattice, coarse, slices, scanner)
    scan(hu, loudness(outside, coarse, slices, scanner), scanner, noise)
    origin = np.array([*machine.uniform(-60, 60, 2), machine.uniform(-400, 200)])
    volume = Volume(finish(hu, slices, scanner), _grid(slices, origin), f"chest phantom {seed}", "CT")
    nodules = tuple(
        PhantomNodule((float(x), float(y), float(z)), d, p.kind, p.place, longest, across)
        for p, (center, d, longest, across) in zip(planned, truth, strict=True) for x, y, z in [center + origin]
    )
    return ChestPhantom(volume, nodules, _lung_labels(inside, fine.lattice, slices, scanner))


class _Fine:
    """The lattice of the lungs before the slice profile: the image's pixels, and thin slices."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self.pixel_edge = float(np.cbrt(lattice.voxel_mm3))


def _image_lattice(physique: Physique, scanner: Scanner, rng: np.random.Generator) -> Lattice:
    low, high = physique.bottom - rng.uniform(0, 25), physique.height + rng.uniform(10, 35)
    across = (np.arange(scanner.matrix) - (scanner.matrix - 1) / 2) * -scanner.pixel
    y = across + scanner.center[1] - 4
    return Lattice(regular(low, high, scanner.spacing), y, across + scanner.center[0])


def _coarse_lattice(image: Lattice) -> Lattice:
    z = regular(image.z[0] - 6, image.z[-1] + 6, COARSE_MM)
    y, x = (regular(axis[-1] - 4, axis[0] + 4, COARSE_MM)[::-1] for axis in (image.y, image.x))
    return Lattice(z, y, x)


def _lung_lattice(image: Lattice, coarse: Lattice, lungs: Array) -> _Fine:
    """The image's pixels around the lungs, at z steps of at most `FINE_Z_MM`."""
    inside = np.argwhere(lungs < 4)
    high, low = inside.min(axis=0), inside.max(axis=0)  # y and x fall with the index
    _, j, i = image.box(
        (coarse.x[low[2]], coarse.y[low[1]], image.z[0] - 1), (coarse.x[high[2]], coarse.y[high[1]], image.z[-1] + 1)
    )
    spacing = image.z[1] - image.z[0]
    step = spacing / np.ceil(spacing / FINE_Z_MM)
    z = regular(image.z[0] - 3, image.z[-1] + 3, float(step))
    return _Fine(Lattice(z, image.y[j], image.x[i]))


def _depth(lungs: Array, lattice: Lattice) -> Array:
    """mm from the nearest pleura inside the lungs, 0 outside."""
    result: Array = ndimage.distance_transform_edt(lungs < 0, np.abs(lattice.step)).astype(np.float32)
    return result


def _targets(
    lungs: Array, depth: Array, thorax: Thorax, lattice: Lattice, rng: np.random.Generator
) -> dict[int, list[tuple[Floats, Ints]]]:
    """Evenly scattered ends for arteries and veins, a few mm from the pleura, with the lobe each lies in."""
    away = np.minimum(depth, np.abs(thorax.fissure))
    open_lung = (lungs < 0) & (away > 3.5) & (np.abs(thorax.mediastinum) > 4)
    result: dict[int, list[tuple[Floats, Ints]]] = {}
    every = np.argwhere(open_lung)
    chance = (COARSE_MM / LEAF_MM) ** 3
    for lung in (1, 2):
        own = every[(lattice.x[every[:, 2]] > 0) == (lung == 2)]
        sets = []
        for _ in range(2):
            picked = own[rng.random(len(own)) < chance]
            lobe = np.where(thorax.fissure[tuple(picked.T)] < 0, 0, 1)
            lobe = np.where((lobe == 1) & (lung == 2) & (thorax.minor[tuple(picked.T)] < 0), 2, lobe)
            shift = rng.uniform(-0.5, 0.5, picked.shape)
            sets.append(((lattice.start + (picked + shift) * lattice.step)[:, ::-1].copy(), lobe))
        result[lung] = sets
    return result


def _lung_hu(
    fine: Lattice,
    coarse: Lattice,
    thorax: Thorax,
    vessels: Vasculature,
    physique: Physique,
    depth: Array,
    rng: np.random.Generator,
    *,
    rich: bool,
) -> Array:
    """HU inside the lungs before vessels: tissue, fissures, and what else is no nodule."""
    hu = parenchyma(coarse, fine, physique, depth, rng, rich=rich)
    sheet = np.minimum(np.abs(thorax.fissure), np.where(coarse.open()[2] > 0, _minor_sheet(thorax), np.float32(50)))
    reach = np.float32(0.5 * (0.6 + float(np.cbrt(fine.voxel_mm3))))
    hu += np.float32(rng.uniform(60, 220)) * np.clip(1 - transfer(sheet, coarse, fine) / (2 * reach), 0, 1)
    if rich:
        places = np.argwhere(depth > 3)
        rim = np.argwhere((depth > 1) & (depth < 9))
        points = (coarse.start + places * coarse.step)[:, ::-1]
        edges = (coarse.start + rim * coarse.step)[:, ::-1]
        cover = np.maximum(scars(fine, edges, rng), plates(fine, points, physique, rng))
        dots(cover, fine, points, rng)
        hu += np.minimum(cover, 1) * (20 - hu)
    return hu


def _minor_sheet(thorax: Thorax) -> Array:
    """Distance to the horizontal fissure, which ends at the oblique one."""
    result: Array = np.where(thorax.fissure > 0, np.abs(thorax.minor), np.float32(50))
    return result


def _draw(
    hu: Array, inside: Array, lattice: Lattice, plan: Planned, rng: np.random.Generator
) -> tuple[Floats, float, float, float]:
    """Blend a nodule in (in place); its centre of mass (x, y, z mm), equivalent and axial diameters as drawn."""
    reach = plan.model.reach + 2.5
    box = lattice.box(plan.model.outer.origin - reach, plan.model.outer.origin + reach)
    part = lattice.part(box)

    def place(index: Floats) -> Floats:
        return (part.start + index * part.step)[:, ::-1]

    before = hu[box]
    drawn, cover = blend(before, before, plan.model, place, np.abs(lattice.step), rng)
    lung = inside[box]
    hu[box] = before + lung * (drawn - before)
    seen = (cover * lung).astype(np.float64)
    pixel = float(abs(lattice.step[2]))
    longest, across = (pixel * n for n in axial_diameters(seen > 0.5))
    if plan.place != "juxta-pleural":
        return plan.center, float(plan.diameter), longest, across
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in seen.shape), indexing="ij"), -1).reshape(
        -1, 3
    )
    center = np.average(place(index), axis=0, weights=seen.ravel())
    return center, float((6 / np.pi * seen.sum() * lattice.voxel_mm3) ** (1 / 3)), longest, across


def _image(lungs: Array, outside: Array, fine: Lattice, coarse: Lattice, image: Lattice, scanner: Scanner) -> Array:
    """HU `[k, j, i]` of the image: the body from the coarse lattice, the block around the lungs from the fine one."""
    hu = transfer(outside, coarse, image)
    block = through_slices(lungs, fine.z, image.z, scanner.thickness)
    j = round((fine.y[0] - image.y[0]) / image.step[1])
    i = round((fine.x[0] - image.x[0]) / image.step[2])
    hu[:, j : j + fine.shape[1], i : i + fine.shape[2]] = block
    return hu


def _lung_labels(inside: Array, fine: Lattice, image: Lattice, scanner: Scanner) -> NDArray[np.uint8]:
    part = through_slices(inside, fine.z, image.z, scanner.thickness)
    side = np.where(fine.x > 0, 2, 1).astype(np.uint8)
    labels = np.zeros(image.shape, np.uint8)
    j = round((fine.y[0] - image.y[0]) / image.step[1])
    i = round((fine.x[0] - image.x[0]) / image.step[2])
    labels[:, j : j + fine.shape[1], i : i + fine.shape[2]] = np.where(part > 0.5, side, 0)
    return labels


def _paint_table(hu: Array, lattice: Lattice, physique: Physique) -> None:
    """A curved table top under the back."""
    _, y, x = lattice.open()
    back = -physique.half_depth - 0.3 * physique.spine_from_back - physique.muscle - 0.6 * physique.fat - 26
    sheet = np.abs(y - back - 0.00075 * x**2) - 1.2
    hu += np.clip(0.5 - sheet / 2, 0, 1) * np.where(hu < -500, 900, 0) * 0.85


def _grid(image: Lattice, origin: Floats) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(image.step[::-1])
    matrix[:3, 3] = image.start[::-1] + origin
    return Grid(image.shape, matrix)
