"""The sample scans that come with the extension: one small phantom a module, drawn from fixed seeds.

    python -m medtrain sample-data             writes MedCore/Resources/SampleData/*.{nrrd,png} and prints their sha256

They are small for the repository's sake: coarse voxels, cut to what the module looks at, grey values in steps. The
bundled models still find in them what was drawn, which a test says; figures are measured on other phantoms.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.scans.writing import write_volume
from medinfer.volume import Grid, Volume

if TYPE_CHECKING:
    from .chest.spec import ChestPhantom
    from .jaw.spec import JawScan
    from .spine.spec import SpineScan

SEED = 71
AIR_HU = -1000
FOLDER = Path("MedCore/Resources/SampleData")
Box = tuple[slice, slice, slice]


def draw_chest() -> ChestPhantom:
    """A chest with three or four nodules of 7 to 18 mm."""
    from .chest import make_chest
    from .chest.spec import ChestSpec

    spec = ChestSpec(
        nodules=(3, 4), diameter_mm=(7, 18), slice_thickness_mm=3, slice_spacing_mm=3, pixel_mm=1.5, noise_hu=7,
        sharpness=0.1, distractors=False, table=False,
    )
    return make_chest(SEED, spec)


def scan_spine() -> SpineScan:
    """The lower spine, T11 to the sacrum."""
    from .spine import ScanSpec, draw_patient, scan_patient

    return scan_patient(draw_patient(SEED), SEED, ScanSpec(view="lumbar", spacing_mm=2, noise_hu=10, contrast=False))


def scan_teeth() -> JawScan:
    """Both jaws with all teeth."""
    from .jaw import CbctSpec, JawSpec, draw_jaws, scan_jaws

    spec = JawSpec(dentition="full", implants=0, restored=0.1, extra=0, impacted=False)
    return scan_jaws(draw_jaws(SEED, spec, spacing=0.7), SEED, CbctSpec(field="both jaws", noise=0.01, eight_bit=False))


def chest() -> Volume:
    """The chest, cut to the lungs."""
    phantom = draw_chest()
    return _smaller(phantom.volume, _around(phantom.lungs > 0, phantom.volume.grid, 12), step=20)


def spine() -> Volume:
    """The spine, cut to the trunk."""
    volume = scan_spine().volume
    return _smaller(volume, _around(np.greater(volume.voxels, -500), volume.grid, 4), step=15)


def jaws() -> Volume:
    """The jaws, cut to the teeth and the bone around them."""
    scan = scan_teeth()
    return _smaller(scan.volume, _around(scan.teeth > 0, scan.volume.grid, 14), step=25)


SAMPLES: dict[str, Callable[[], Volume]] = {"chest": chest, "spine": spine, "jaws": jaws}
SHOWN = {"chest": (-1000, 100, 0.5, 0.56), "spine": (-100, 900, 0, 1), "jaws": (-300, 3600, 0, 1)}
"""Of a thumbnail: black and white (HU), and which part of the patient's depth it shows, from the front."""
THUMBNAIL = 256
"""Pixels of a thumbnail, either way."""


def _around(mask: NDArray[np.bool_], grid: Grid, margin_mm: float) -> Box:
    """The box of a mask's voxels and a margin, within the grid."""
    low, high = [], []
    for axis, spacing in enumerate(grid.spacing):
        line = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        margin = round(margin_mm / spacing)
        low.append(max(0, int(line[0]) - margin))
        high.append(min(grid.shape[axis], int(line[-1]) + 1 + margin))
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _smaller(volume: Volume, box: Box, step: int) -> Volume:
    """The box of a scan with grey values in steps: noise is what takes room, and it compresses when it is coarse."""
    matrix = np.array(volume.grid.ijk_to_ras)
    matrix[:3, 3] = volume.grid.to_ras([part.start for part in box])
    stepped = np.rint(volume.voxels[box].astype(np.float32) / step) * step
    stepped = np.maximum(stepped, AIR_HU).astype(np.int16)
    return Volume(stepped, Grid(stepped.shape, matrix), volume.name, volume.modality)


def _pack_tighter(path: Path) -> None:
    """Compress the voxels of a NRRD file with gzip's best level, the same bytes each time."""
    header, _, packed = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header + b"\n\n" + gzip.compress(gzip.decompress(packed), 9, mtime=0))


def _write_thumbnail(volume: Volume, path: Path, low: float, high: float, near: float, far: float) -> None:
    """What Slicer's Sample Data module shows: the brightest along the patient's depth, from the front, as a PNG."""
    import SimpleITK as sitk

    rows = volume.shape[1]
    front = volume.voxels[:, round(near * rows) : round(far * rows)].max(axis=1)[::-1].astype(np.float32)
    height = front.shape[0] * volume.grid.spacing[0]
    width = front.shape[1] * volume.grid.spacing[2]
    pixel = max(height, width) / THUMBNAIL
    scale = (height / front.shape[0] / pixel, width / front.shape[1] / pixel)
    shown = ndimage.zoom(front, scale, order=1)
    grey = np.clip((shown - low) / (high - low), 0, 1) * 255
    framed = np.pad(grey, [((THUMBNAIL - size) // 2, (THUMBNAIL - size + 1) // 2) for size in grey.shape])
    sitk.WriteImage(sitk.GetImageFromArray(framed.astype(np.uint8)), str(path))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw the sample scans of the extension.")
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(SAMPLES)}; default: all")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or SAMPLES:
        path = options.out / f"{name}.nrrd"
        volume = SAMPLES[name]()
        write_volume(volume, path)
        _pack_tighter(path)
        _write_thumbnail(volume, path.with_suffix(".png"), *SHOWN[name])
        content = path.read_bytes()
        print(f"{path}  {volume.grid.shape}  {len(content) / 1e6:.2f} MB  {hashlib.sha256(content).hexdigest()}")
