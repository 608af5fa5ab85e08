"""Two public brain networks, each added with one command, beside the way that their own libraries run them.

    python Testing/benchmarks/brain_networks.py [--deepbet FOLDER]

MeshNet (ONNX, of brainchop): a conformed T1 of 256³ voxels, values 0 to 255 divided by 255, the highest of three
classes. LinkNet3d (TorchScript, of deepbet): the brain in a box around it, stretched to 256³ voxels. deepbet looks for
that box with a network of its own, and a package cannot stretch; so both get the scan cut to the box of MeshNet's
brain with deepbet's margin, ours stretched in the same way. The peer is deepbet's steps (nearest
voxel, percentiles of every eighth voxel, network, largest part, holes filled), and with --deepbet (the unpacked wheel
of deepbet 1.0.2, which needs fill_voids) deepbet itself on the whole scan besides.
Printed: Dice of each label. Data: MEDINFER_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cc3d
import nibabel
import numpy as np
from agreement import dice
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage
from medinfer.scans.reading import read_volume

DATA = Path(os.environ.get("MEDINFER_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "networks"
SCAN = DATA / "brain_meshnet_onnx" / "t1_crop.nii.gz"
MESHNET = {
    "labels": "grey matter,white matter", "modality": "MR", "orientation": "LIA", "axes": "zyx", "id": "meshnet",
    "intensity": "times 0.00392156862745098", "activation": "softmax",
}
LINKNET = {
    "labels": "1=brain", "modality": "MR", "orientation": "RAS", "axes": "xyz", "id": "linknet", "shape": "256",
    "sampling": "nearest", "clean": "largest,holes",
    "intensity": "percentiles 0.5 99.5, clip 0 1, zscore, times 0.226 plus 0.449",
}


def here(package: ModelPackage, scan: Path) -> NDArray[np.uint8]:
    """The labels on the scan's voxels `[k, j, i]`."""
    volume = read_volume(scan)
    with open_package(package, precision="float32") as session:
        labels = run(volume, package, session).label_map
    assert labels is not None
    return labels.whole(volume).voxels


def meshnet() -> NDArray[Any]:
    """As brainchop has it: the array as it is stored, slowest axis first."""
    import onnxruntime

    values = np.asarray(nibabel.load(SCAN).dataobj).astype(np.float32).T / 255
    session = onnxruntime.InferenceSession(str(DATA / "brain_meshnet_onnx" / "model.onnx"))
    (found,) = session.run(None, {"input": values[None, None]})
    return found[0].argmax(axis=0)


def box_of(brain: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around a brain with deepbet's margin of a tenth on each side."""
    sides = []
    for axis, length in enumerate(brain.shape):
        (inside,) = np.nonzero(brain.any(axis=tuple(other for other in range(3) if other != axis)))
        middle, size = (inside[0] + inside[-1] + 1) / 2, 1.2 * (inside[-1] + 1 - inside[0])
        sides.append(slice(max(0, int(middle - size / 2)), min(length, int(middle + size / 2))))
    return tuple(sides)


def linknet(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """deepbet's steps around its network, on a box `[x, y, z]`."""
    import torch
    from torch.nn.functional import interpolate

    model = torch.jit.load(DATA / "brain_extraction_torchscript" / "model.pt", map_location="cpu").eval()
    box = torch.from_numpy(values)[None, None]
    sample = interpolate(box, (128,) * 3, mode="nearest-exact")
    low, high = sample.quantile(0.005), sample.quantile(0.995)
    stretched = ((interpolate(box, (256,) * 3, mode="nearest-exact") - low) / (high - low)).clamp(0, 1)
    stretched = 0.226 * (stretched - stretched.mean()) / stretched.std() + 0.449
    with torch.no_grad():
        found = interpolate(model(stretched)[:, 1:2], values.shape, mode="nearest-exact")
    parts = cc3d.connected_components(found[0, 0].numpy() > 0.5)
    return np.asarray(ndimage.binary_fill_holes(parts == np.bincount(parts[parts > 0]).argmax()))


def deepbet(folder: Path) -> NDArray[np.bool_]:
    """deepbet itself, on the whole scan `[x, y, z]` of closest RAS."""
    sys.path.insert(0, str(folder))
    from deepbet.bet import BrainExtraction

    _, mask, _ = BrainExtraction(no_gpu=True).run(nibabel.load(SCAN))
    return np.asarray(nibabel.as_closest_canonical(mask).dataobj) > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deepbet", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["MEDINFER_LIBRARY"] = f"{place}/library"
        package = add(DATA / "brain_meshnet_onnx" / "model.onnx", given=Given(MESHNET))
        ours, theirs = here(package, SCAN), meshnet()
        print(f"MeshNet: Dice {dice(ours == 1, theirs == 1):.5f} and {dice(ours == 2, theirs == 2):.5f}, "
              f"{np.sum(ours != theirs)} of {np.sum(theirs > 0)} voxels differ", flush=True)
        stored = nibabel.load(SCAN)
        scan = nibabel.as_closest_canonical(stored)
        brain = nibabel.as_closest_canonical(nibabel.Nifti1Image(theirs.astype(np.uint8).T, stored.affine))
        box = box_of(np.asarray(brain.dataobj) > 0)
        cut = scan.slicer[box]
        nibabel.save(cut, f"{place}/box.nii.gz")
        found = here(add(DATA / "brain_extraction_torchscript" / "model.pt", given=Given(LINKNET)),
                     Path(f"{place}/box.nii.gz")).T
        peer = linknet(cut.get_fdata(dtype=np.float32))
        ml = float(np.prod(cut.header.get_zooms())) / 1000
        print(f"LinkNet3d: Dice {dice(found > 0, peer):.5f}, {found.sum() * ml:.0f} and {peer.sum() * ml:.0f} ml",
              flush=True)
        if asked.deepbet:
            whole = deepbet(asked.deepbet)
            print(f"deepbet itself: Dice {dice(found > 0, whole[box]):.5f}, {whole.sum() * ml:.0f} ml")


if __name__ == "__main__":
    main()
