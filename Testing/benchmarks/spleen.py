"""The public spleen network (TorchScript, Project-MONAI) added with one command, beside MONAI itself.

    python Testing/benchmarks/spleen.py            the block of LIDC-IDRI-0001 with the spleen in it (a minute or two)
    python Testing/benchmarks/spleen.py --whole    the whole scan (four times as long)

The package is what `medinfer add --like monai` makes of the network. The peer reads the same file with MONAI: its
transforms (orientation RAS, 1.5 × 1.5 × 2 mm, values), its `sliding_window_inference` (Gaussian weights, 50 % overlap)
with torch, its inverse transforms, arg-max. Printed are both volumes, of their largest component too, the seconds of
each, the voxels that differ on the scan's own grid, and Dice.
Data: MEDINFER_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

import cc3d
import numpy as np
from agreement import dice
from numpy.typing import NDArray

from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.scans.reading import read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MEDINFER_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
SCAN = DATA / "chest" / "LIDC-IDRI-0001.nii.gz"
WEIGHTS = DATA / "weights" / "spleen_unet_torchscript.pt"
WORDS = {
    "labels": "spleen", "like": "monai", "spacing": "1.5,1.5,2", "intensity": "clip -57 164, scale 0..1",
    "overlap": "0.5", "weights": "gaussian", "licence": "Apache-2.0",
}
# Of the block: its lowest and highest corner, RAS mm.
BLOCK = (-175.0, -130.0, -275.0), (-15.0, 55.0, -75.0)


def block_of(volume: Volume) -> Volume:
    """The part of a scan between the corners of BLOCK."""
    corners = volume.grid.to_index(np.array(BLOCK))
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int), volume.shape)
    part = volume.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    k, j, i = (int(n) for n in low)
    return Volume(part, volume.grid.cropped((k, j, i), part.shape), volume.name, volume.modality)


def by_medinfer(scan: Path) -> NDArray[np.bool_]:
    """Our answer on the scan's own grid `[k, j, i]`."""
    volume = read_volume(scan)
    package = add(WEIGHTS, given=Given(WORDS, say=print))
    with open_package(package, precision="float32") as session:
        labels = run(volume, package, session).label_map
    assert labels is not None
    mask: NDArray[np.bool_] = labels.whole(volume).voxels > 0
    return mask


def by_monai(scan: Path) -> NDArray[np.bool_]:
    """MONAI's answer on the scan's own grid `[k, j, i]`."""
    import torch
    from monai import transforms as of
    from monai.inferers import sliding_window_inference

    before = of.Compose([
        of.LoadImaged("image"), of.EnsureChannelFirstd("image"), of.Orientationd("image", "RAS"),
        of.Spacingd("image", (1.5, 1.5, 2.0), mode="bilinear"), of.ScaleIntensityRanged("image", -57, 164, 0, 1, True),
    ])
    after = of.Compose([
        of.Activationsd("pred", softmax=True),
        of.Invertd("pred", before, "image", nearest_interp=False, to_tensor=True), of.AsDiscreted("pred", argmax=True),
    ])
    network = torch.jit.load(str(WEIGHTS)).eval()
    data = before({"image": scan})
    with torch.inference_mode():
        data["pred"] = sliding_window_inference(
            data["image"][None], (96, 96, 96), 1, network, overlap=0.5, mode="gaussian"
        )[0]
        data = after(data)
    answer: NDArray[np.bool_] = data["pred"][0].numpy().T > 0
    return answer


def told(name: str, mask: NDArray[np.bool_], voxel_ml: float, seconds: float) -> str:
    largest = int(cc3d.statistics(cc3d.connected_components(mask))["voxel_counts"][1:].max(initial=0))
    return f"{name:<10} {mask.sum() * voxel_ml:8.1f} ml {largest * voxel_ml:8.1f} ml {seconds:8.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true")
    whole = parser.parse_args().whole
    warnings.simplefilter("ignore")
    volume = read_volume(SCAN)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        os.environ["MEDINFER_LIBRARY"] = f"{place}/library"
        scan = SCAN
        if not whole:
            volume = block_of(volume)
            scan = Path(place) / "block.nii.gz"
            write_volume(volume, scan)
        voxel_ml = float(np.prod(volume.spacing)) / 1000
        answers = []
        for name, answer in (("MedInfer", by_medinfer), ("MONAI", by_monai)):
            begin = time.perf_counter()
            answers.append(answer(scan))
            rows.append(told(name, answers[-1], voxel_ml, time.perf_counter() - begin))
    ours, theirs = answers
    print(f"{' × '.join(map(str, ours.shape[::-1]))} voxels (x, y, z)")
    print(f"{'':<10} {'volume':>11} {'largest':>11} {'time':>10}")
    print("\n".join(rows))
    print(f"{(ours != theirs).sum()} voxels differ, Dice {dice(ours, theirs):.5f}")


if __name__ == "__main__":
    main()
