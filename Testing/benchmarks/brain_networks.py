"""Two public brain networks, each added with one command, beside the way that their own libraries run them.

    python Testing/benchmarks/brain_networks.py [--deepbet FOLDER]

MeshNet (ONNX, of brainchop): a conformed T1 of 256³ voxels, values 0 to 255 divided by 255, the highest of three
classes. LinkNet3d (TorchScript, of deepbet): the brain in a T1 of 256³ voxels, as deepbet's own steps give it. deepbet
first looks for the brain in the scan at 128³ and stretches that box to 256³, which a package cannot say; so the peer is
its network on the whole scan, and with --deepbet (the unpacked wheel of deepbet 1.0.2) deepbet itself besides.
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
    "labels": "brain", "modality": "MR", "orientation": "RAS", "axes": "xyz", "id": "linknet", "patch": "256",
    "intensity": "percentiles 0.5 99.5, clip 0 1, zscore, times 0.226 plus 0.449",
}


def here(package: ModelPackage) -> NDArray[np.uint8]:
    """The labels on the scan's voxels `[k, j, i]`."""
    volume = read_volume(SCAN)
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


def linknet() -> NDArray[Any]:
    """deepbet's steps around its network, on the whole scan: `[k, j, i]`."""
    import torch

    model = torch.jit.load(DATA / "brain_extraction_torchscript" / "model.pt", map_location="cpu").eval()
    image = nibabel.as_closest_canonical(nibabel.load(SCAN))
    values = torch.from_numpy(image.get_fdata(dtype=np.float32))
    sample = torch.nn.functional.interpolate(values[None, None], (128,) * 3, mode="nearest-exact")
    low, high = sample.quantile(0.005), sample.quantile(0.995)
    values = ((values - low) / (high - low)).clamp(0, 1)
    values = 0.226 * (values - values.mean()) / values.std() + 0.449
    with torch.no_grad():
        mask = (model(values[None, None])[0, 1] > 0.5).numpy()
    parts = cc3d.connected_components(mask)
    mask = ndimage.binary_fill_holes(parts == np.bincount(parts[parts > 0]).argmax())
    back = nibabel.as_closest_canonical(nibabel.load(SCAN)).affine
    return on_scan(np.asarray(mask, np.uint8), back)


def deepbet(folder: Path) -> NDArray[Any]:
    """deepbet itself."""
    sys.path.insert(0, str(folder))
    from deepbet.bet import BrainExtraction

    _, mask, _ = BrainExtraction(no_gpu=True).run(nibabel.load(SCAN))
    return np.asarray(mask.dataobj).T.round().astype(np.uint8)


def on_scan(mask: NDArray[np.uint8], affine: NDArray[np.float64]) -> NDArray[Any]:
    """A mask `[x, y, z]` of the canonical scan on the stored one's voxels `[k, j, i]`."""
    stored = nibabel.load(SCAN)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.io_orientation(stored.affine)
    )
    return nibabel.orientations.apply_orientation(mask, turn).T


def dice(one: NDArray[Any], other: NDArray[Any], value: int) -> float:
    mine, theirs = one == value, other == value
    return float(2 * (mine & theirs).sum() / max(1, mine.sum() + theirs.sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deepbet", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as library:
        os.environ["MEDINFER_LIBRARY"] = library
        ours, theirs = here(add(DATA / "brain_meshnet_onnx" / "model.onnx", given=Given(MESHNET))), meshnet()
        print(f"MeshNet: Dice {dice(ours, theirs, 1):.5f} and {dice(ours, theirs, 2):.5f}, "
              f"{np.sum(ours != theirs)} of {np.sum(theirs > 0)} voxels differ", flush=True)
        ours, theirs = here(add(DATA / "brain_extraction_torchscript" / "model.pt", given=Given(LINKNET))), linknet()
        print(f"LinkNet3d: Dice {dice(ours, theirs, 1):.5f}, {theirs.sum() / 1000:.0f} ml", flush=True)
        if asked.deepbet:
            whole = deepbet(asked.deepbet)
            print(f"deepbet itself: Dice {dice(ours, whole, 1):.5f}, {whole.sum() / 1000:.0f} ml")


if __name__ == "__main__":
    main()
