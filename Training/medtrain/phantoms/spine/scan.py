"""The scan of a patient: field of view, tilt, HU, slice profile, kernel, noise, and which vertebrae are in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from medinfer.volume import Grid, Volume

from ..kernel import noise_spectrum
from ..lattice import Array, Floats
from .spec import LEVELS, CutVertebra, FieldOfView, Patient, ScanSpec, SpineScan, Vector
from .tissue_hu import draw_hu

# first and last level in view, and how far beyond their centroids the view reaches (mm, about)
VIEWS: dict[FieldOfView, tuple[str, str, float, float]] = {
    "whole": ("C1", "S1", 190, 260),
    "spine": ("C1", "S1", 45, 60),
    "neck": ("C1", "T2", 60, 10),
    "chest": ("C7", "L1", 15, 10),
    "abdomen": ("T9", "S1", 0, 45),
    "trunk": ("C7", "S1", 10, 200),
    "lumbar": ("T11", "S1", 8, 40),
}


@dataclass(frozen=True, eq=False)
class _Pose:
    """Where a patient lies in the scanner: turned about a point, then shifted (mm)."""

    turn: Floats
    about: Floats
    shift: Floats

    def to_scan(self, ras: Floats) -> Floats:
        result: Floats = (ras - self.about) @ self.turn.T + self.about + self.shift
        return result


ANY_SCAN = ScanSpec()


def scan_patient(patient: Patient, seed: int, spec: ScanSpec = ANY_SCAN) -> SpineScan:
    """Scan a patient.

    Axes of the volume: k to the head, j to the back, i to the left; its world is RAS mm, another than the patient's.
    """
    rng = np.random.default_rng([seed, 4])
    views = tuple(VIEWS)
    view = spec.view or views[int(rng.choice(len(views), p=(0.06, 0.14, 0.14, 0.18, 0.16, 0.2, 0.12)))]
    contrast = spec.contrast if spec.contrast is not None else bool(rng.random() < 0.5)
    thinnest = 0.6 if view in ("neck", "lumbar", "spine") else 1.25  # long scans are not stored thinner
    thickness = float(np.exp(rng.uniform(np.log(thinnest), np.log(5.0))))
    thickness = spec.thickness_mm or spec.spacing_mm or thickness
    pixel = spec.spacing_mm or float(rng.uniform(0.7, 1.2))
    noise = float(np.exp(rng.uniform(np.log(6), np.log(35))))
    noise = spec.noise_hu if spec.noise_hu is not None else noise
    angles = rng.uniform(-spec.tilt_deg, spec.tilt_deg, 3)
    center = patient.grid.to_ras((np.array(patient.grid.shape) - 1) / 2)
    pose = _Pose(Rotation.from_euler("xyz", angles, degrees=True).as_matrix(), center, rng.uniform(-150, 150, 3))
    grid = _view(rng, patient, pose, view, (thickness, pixel, pixel))
    hu = _render(rng, patient, pose, grid, contrast)
    hu = _blur(hu, grid, rng.uniform(0.35, 0.75))
    hu += _noise(rng, grid, noise, float(rng.uniform(0, 1)))
    voxels = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    truth, cut = _in_view(patient, pose, grid)
    return SpineScan(Volume(voxels, grid, f"phantom {seed}", "CT"), truth, cut)


def _view(rng: np.random.Generator, patient: Patient, pose: _Pose, view: FieldOfView, spacing: Vector) -> Grid:
    """The scan's grid: the chosen levels with a varying margin, as wide as the body or only around the spine."""
    first, last, above, below = VIEWS[view]
    names = list(patient.centroids)
    top = patient.centroids.get(first, patient.centroids[names[0]])
    low = patient.centroids.get(last, patient.centroids[names[-1]])
    high_z, low_z = (float(pose.to_scan(np.array(one))[2]) for one in (top, low))
    high_z, low_z = high_z + above + rng.uniform(-20, 25), low_z - below - rng.uniform(-20, 25)
    corners = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * (np.array(patient.grid.shape) - 1)
    ends = pose.to_scan(patient.grid.to_ras(corners))
    high_z, low_z = min(high_z, ends[:, 2].max()), max(low_z, ends[:, 2].min())
    spine = pose.to_scan(np.array(list(patient.centroids.values())))
    inside = spine[(spine[:, 2] > low_z) & (spine[:, 2] < high_z)]
    if view in ("spine", "neck", "lumbar") and rng.random() < 0.6:
        middle, half = inside[:, :2].mean(axis=0) + np.array([0, 15]), rng.uniform(95, 135)
        low_xy, high_xy = middle - half, middle + half
    else:
        low_xy, high_xy = ends[:, :2].min(axis=0), ends[:, :2].max(axis=0)
        width = float(np.clip(high_xy[0] - low_xy[0], 0, rng.uniform(340, 500)))  # arms beyond the view are cut off
        low_xy[0], high_xy[0] = inside[:, 0].mean() - width / 2, inside[:, 0].mean() + width / 2
    extent = np.array([high_z - low_z, high_xy[1] - low_xy[1], high_xy[0] - low_xy[0]])
    shape = np.maximum(np.ceil(extent / np.array(spacing)).astype(int), 4)
    matrix = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    matrix[:3, 3] = (high_xy[0], high_xy[1], low_z)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), matrix)


def _render(rng: np.random.Generator, patient: Patient, pose: _Pose, grid: Grid, contrast: bool) -> Array:
    """HU with the tissues' textures, at the scan's voxels (linear interpolation: soft edges)."""
    mean, texture = draw_hu(rng, contrast)
    # index in the scan -> index in the patient
    corner = np.vstack([np.zeros(3), np.eye(3)])
    world = (grid.to_ras(corner) - pose.shift - pose.about) @ pose.turn + pose.about
    places = patient.grid.to_index(world)
    matrix, offset = (places[1:] - places[0]).T, places[0]
    corners = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * (np.array(grid.shape) - 1)
    reached = corners @ matrix.T + offset
    start = np.clip(np.floor(reached.min(axis=0)).astype(int) - 3, 0, np.array(patient.grid.shape) - 1)
    stop = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 4, start + 1, patient.grid.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    tissues = patient.tissues[box]
    grain = ndimage.gaussian_filter(rng.standard_normal(tissues.shape, dtype=np.float32), 1.2, mode="wrap")
    grain /= grain.std() + 1e-9
    hu = mean[tissues] + texture[tissues] * grain
    size = patient.grid.spacing[0]
    hu = ndimage.gaussian_filter(hu, 0.45)
    # thicker voxels than the patient's own: average before sampling
    hu = ndimage.gaussian_filter(hu, [0.42 * np.sqrt(max((s / size) ** 2 - 1, 0.0)) for s in grid.spacing])
    result: Array = ndimage.affine_transform(
        hu, matrix, offset - start, output_shape=grid.shape, order=1, mode="constant", cval=-1000.0
    )
    return result


def _blur(hu: Array, grid: Grid, sigma: float) -> Array:
    """The kernel within the slice, sigma mm."""
    _, row, column = grid.spacing
    result: Array = ndimage.gaussian_filter(hu, (0, sigma / row, sigma / column))
    return result


def _noise(rng: np.random.Generator, grid: Grid, level: float, sharpness: float) -> Array:
    """Noise of filtered back-projection, slice by slice; louder where slices are thin; a little shared along k."""
    slices, rows, columns = grid.shape
    size = fft.next_fast_len(rows, real=True), fft.next_fast_len(columns, real=True)
    frequency = np.hypot(
        fft.fftfreq(size[0], grid.spacing[1])[:, None], fft.rfftfreq(size[1], grid.spacing[2])[None, :]
    )
    spectrum = noise_spectrum(frequency, sharpness)
    spectrum *= np.float32(level) / np.sqrt(np.mean(spectrum.astype(np.float64) ** 2))
    result = np.empty(grid.shape, np.float32)
    before = np.zeros((rows, columns), np.float32)
    for k in range(slices):
        white = fft.rfft2(rng.standard_normal(size, dtype=np.float32))
        grain = fft.irfft2(white * spectrum, size)[:rows, :columns]
        result[k] = (grain + 0.35 * before) / np.float32(np.hypot(1, 0.35))
        before = grain
    return result


def _in_view(patient: Patient, pose: _Pose, grid: Grid) -> tuple[dict[str, Vector], dict[str, CutVertebra]]:
    """Centroids of the vertebrae whose every voxel lies in the scan's voxels, and the parts of the others."""
    truth: dict[str, Vector] = {}
    cut: dict[str, CutVertebra] = {}
    for label in np.unique(patient.vertebrae[(patient.vertebrae > 0) & (patient.vertebrae <= len(LEVELS))]):
        points = pose.to_scan(patient.grid.to_ras(np.argwhere(patient.vertebrae == label)))
        index = grid.to_index(points)
        inside = np.all((index >= -0.5) & (index <= np.array(grid.shape) - 0.5), axis=1)
        if not inside.any():
            continue
        right, front, up = (float(c) for c in points[inside].mean(axis=0))
        name = LEVELS[label - 1]
        if inside.all():
            truth[name] = (right, front, up)
        else:
            cut[name] = CutVertebra(float(inside.mean()), (right, front, up))
    return truth, cut
