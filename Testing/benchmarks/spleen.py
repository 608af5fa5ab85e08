"""The public spleen network (TorchScript, Project-MONAI) added with one command, beside MONAI's own sliding window.

    python Testing/benchmarks/spleen.py            the block of LIDC-IDRI-0001 with the spleen in it (a minute or two)
    python Testing/benchmarks/spleen.py --whole    the whole scan (four times as long)

The peer gets the very voxels that MedInfer prepares, in the network's order of axes, and runs torch eager with MONAI's
`sliding_window_inference` (Gaussian weights, 50 % overlap). Printed are both volumes, of their largest component too,
Dice between them on the network's grid, and the seconds of each.
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
from numpy.typing import NDArray

from medinfer.decoders import IndexSegments, decoding_for
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.found import Earlier
from medinfer.inference.network_run import decode_tiles, plan_tiles
from medinfer.inference.package_session import open_package
from medinfer.inference.watch import Watch
from medinfer.preparation.prepare import prepare
from medinfer.scans.reading import read_volume
from medinfer.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MEDINFER_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
WEIGHTS = DATA / "weights" / "spleen_unet_torchscript.pt"
WORDS = {
    "labels": "spleen", "spacing": "1.5,1.5,2", "orientation": "RAS", "axes": "xyz",
    "intensity": "clip -57 164, scale 0..1", "licence": "Apache-2.0",
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


def by_monai(voxels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """MONAI's answer on `voxels` [x, y, z]."""
    import torch
    from monai.inferers import sliding_window_inference

    network = torch.jit.load(str(WEIGHTS)).eval()
    with torch.inference_mode():
        scores = sliding_window_inference(
            torch.from_numpy(voxels.copy())[None, None], (96, 96, 96), 1, network, overlap=0.5, mode="gaussian"
        )
    answer: NDArray[np.bool_] = scores.argmax(1)[0].numpy() > 0
    return answer


def told(name: str, mask: NDArray[np.bool_], voxel_ml: float, seconds: float) -> str:
    largest = int(cc3d.statistics(cc3d.connected_components(mask))["voxel_counts"][1:].max(initial=0))
    return f"{name:<10} {mask.sum() * voxel_ml:8.1f} ml {largest * voxel_ml:8.1f} ml {seconds:8.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true")
    whole = parser.parse_args().whole
    warnings.simplefilter("ignore")
    volume = read_volume(DATA / "chest" / "LIDC-IDRI-0001.nii.gz")
    volume = volume if whole else block_of(volume)
    with tempfile.TemporaryDirectory() as library:
        os.environ["MEDINFER_LIBRARY"] = library
        package = add(WEIGHTS, given=Given(WORDS))
        one = package.manifest.passes[0]
        prepared = prepare(volume, one.prepare)
        begin = time.perf_counter()
        with open_package(package, precision="float32") as session:
            plan = plan_tiles(prepared.voxels.shape, one)
            decoding = decoding_for(
                one, package.manifest.labels, prepared.grid, one.decoder.threshold, along=plan.outer
            )
            found = decode_tiles(prepared, one, session.passes[one.name], plan, decoding, Earlier({}, {}),
                                 Watch(lambda *progress: None, lambda: False))
        seconds = time.perf_counter() - begin
    assert isinstance(found, IndexSegments)
    ours = (found.labels > 0).transpose(2, 1, 0)
    begin = time.perf_counter()
    theirs = by_monai(prepared.voxels.transpose(2, 1, 0))
    peer_seconds = time.perf_counter() - begin
    voxel_ml = float(np.prod(prepared.grid.spacing)) / 1000
    print(f"{' × '.join(map(str, ours.shape))} voxels (x, y, z) of 1.5 × 1.5 × 2 mm")
    print(f"{'':<10} {'volume':>11} {'largest':>11} {'time':>10}")
    print(told("MedInfer", ours, voxel_ml, seconds))
    print(told("MONAI", theirs, voxel_ml, peer_seconds))
    print(f"Dice {2 * (ours & theirs).sum() / max(1, ours.sum() + theirs.sum()):.4f}")


if __name__ == "__main__":
    main()
