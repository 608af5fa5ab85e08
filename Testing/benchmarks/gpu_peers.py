"""From a volume to its labels on a graphics card: MedInfer beside MONAI's sliding window and nnU-Net's predictor.

    python Testing/benchmarks/gpu_peers.py [--device cuda] [--size 300 512 512] [--patch 128] [--classes 5 33]

A U-Net of nnU-Net's usual size with random weights, the same for all, as TorchScript for MedInfer; tiles overlap by a
half. MedInfer lays and weights its tiles as the peer beside it does. The seconds are from the volume in the host's
memory to one byte per voxel there; MedInfer's are those of its stage “network”. Printed for each precision: seconds,
the share of them in which the card computes, memory, and the share of labels that differ from MedInfer's in float32
with the same tiles. Random weights decide narrowly almost everywhere: of a trained network fewer labels change.
nnU-Net computes in float16 on a card, whatever is asked (its autocast), adds tiles up in half precision everywhere, and
is left out where nnunetv2 is not here. MONAI's labels in float32 must be MedInfer's up to 0.1 %, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from gpu_time import Timed, timed
from scipy import ndimage

from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import ModelPackage, load_package
from medinfer.volume import Grid, Volume

FEATURES = [32, 64, 128, 256, 320, 320]
KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TILINGS: dict[str, dict[str, Any]] = {
    "MONAI": {"spread": "last", "weights": "gaussian"}, "nnU-Net": {"spread": "even", "weights": "nnunet"},
}
# Of float32 with the same tiles: random weights decide narrowly, and a peer adds up in another order.
MOST_SHARE = 0.001


def build(classes: int, features: list[int]) -> torch.nn.Module:
    from monai.networks.nets import DynUNet

    torch.manual_seed(0)
    count = len(features)
    return DynUNet(
        3, 1, classes, [3] * count, [1] + [2] * (count - 1), [2] * (count - 1), filters=features
    ).eval().requires_grad_(False)


def write_package(folder: Path, network: torch.nn.Module, classes: int, patch: int, home: str) -> ModelPackage:
    """A package of the network as TorchScript, whose tiles lie and count as in `home`."""
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network, torch.zeros(1, 1, patch, patch, patch)).save(str(folder / "unet.ts"))
    digest = hashlib.sha256((folder / "unet.ts").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps({
        "schema_version": 2, "id": "unet", "version": "1.0.0", "title": "U-Net", "task": "segment",
        "card": {"summary": "Random weights.", "intended_use": "Speed.", "limits": "Finds nothing.",
                 "training_data": "None.", "licence": "Apache-2.0", "authors": "MedInfer"},
        "labels": [{"value": n, "name": f"class {n}"} for n in range(1, classes)],
        "passes": [{
            "name": "unet",
            "prepare": {"hounsfield": False, "orientation": "RAS", "minimum_mm": [1, 1, 1]},
            "network": {
                "files": [{"path": "unet.ts", "format": "torchscript", "sha256": digest}],
                "inputs": [{"role": "image", "name": "image"}], "output": "scores", "channels": classes,
            },
            "tiling": {"join": "blend", "patch": [patch] * 3, "overlap": 0.5, "pad": 0.0, **TILINGS[home]},
            "decoder": {"kind": "segments", "activation": "softmax"},
        }],
        "result": [{"of": "unet", "as": "objects"}],
    }))
    return load_package(folder)


def medinfer(package: ModelPackage, volume: Volume, device: str, precision: str, times: int) -> Timed[np.ndarray]:
    with open_package(package, backend="torch", device=device, precision=precision) as session:
        for one in session.passes.values():
            one.joins_on_device = True  # on the processor it is not the default
        seconds: list[float] = []

        def work() -> np.ndarray:
            findings = run(volume, package, session)
            seconds.append(findings.run["seconds"]["network"])
            assert findings.label_map is not None
            return findings.label_map.whole(volume).voxels

        whole = timed(work, device, times)
    mean = float(np.mean(seconds[1 : 1 + times]))
    # The card computes in the stage “network” alone.
    computing = None if whole.computing is None else min(1.0, whole.computing * whole.seconds / mean)
    return Timed(whole.result, mean, computing, whole.most_bytes)


def labels_of(logits: torch.Tensor) -> np.ndarray:
    found: np.ndarray = logits.argmax(0).to(torch.uint8).cpu().numpy()
    return found


def monai(network: torch.nn.Module, voxels: np.ndarray, device: str, patch: int, kind: torch.dtype) -> np.ndarray:
    from monai.inferers import sliding_window_inference

    narrow = kind != torch.float32
    with torch.inference_mode(), torch.autocast(device.partition(":")[0], kind if narrow else None, enabled=narrow):
        image = torch.from_numpy(voxels).to(device)[None, None]
        return labels_of(sliding_window_inference(image, patch, 1, network, overlap=0.5, mode="gaussian")[0])


def nnunet(network: torch.nn.Module, voxels: np.ndarray, device: str, patch: int, classes: int) -> np.ndarray:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    place = torch.device(device)
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_mirroring=False, device=place, perform_everything_on_device=True, allow_tqdm=False
    )
    predictor.network, predictor.allowed_mirroring_axes = network, None
    predictor.configuration_manager = SimpleNamespace(patch_size=(patch,) * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=classes)
    return labels_of(predictor.predict_sliding_window_return_logits(torch.from_numpy(voxels)[None]))


def draw(size: list[int]) -> Volume:
    values = ndimage.zoom(np.random.default_rng(0).normal(size=[n // 8 + 2 for n in size]), 8, order=1)
    voxels = np.ascontiguousarray(values[tuple(slice(n) for n in size)], np.float32)
    return Volume(voxels, Grid(voxels.shape, np.eye(4)), "drawn")


def precisions_on(device: str) -> list[str]:
    from medinfer.backends.torch_files import devices

    able = devices().get(device.partition(":")[0], ())
    return [precision for precision in KINDS if precision in able]


def peers_of(
    home: str, network: torch.nn.Module, voxels: np.ndarray, device: str, patch: int, classes: int
) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Each way that the peer computes, by its precision."""
    if home == "nnU-Net":
        asked = "float16" if device.startswith("cuda") else "float32"
        yield asked, lambda: nnunet(network, voxels, device, patch, classes)
        return
    for precision in precisions_on(device):
        kind = KINDS[precision]
        yield precision, lambda kind=kind: monai(network, voxels, device, patch, kind)


def compare(device: str, size: list[int], patch: int, classes: int, features: list[int], times: int) -> bool:
    """Whether the labels in float32 are MONAI's."""
    network, volume, held = build(classes, features), draw(size), True
    with tempfile.TemporaryDirectory() as folder:
        for home in TILINGS:
            package = write_package(Path(folder) / home, network, classes, patch, home)
            ours = {name: medinfer(package, volume, device, name, times) for name in precisions_on(device)}
            expected = ours["float32"].result
            for precision, found in ours.items():
                tell("MedInfer", classes, precision, found, expected)
            try:
                network.to(device)
                for precision, work in peers_of(home, network, volume.voxels, device, patch, classes):
                    found = timed(work, device, times)
                    tell(home, classes, precision, found, expected)
                    unlike = np.mean(found.result != expected)
                    held = held and ((home, precision) != ("MONAI", "float32") or bool(unlike <= MOST_SHARE))
            except ImportError as error:
                print(f"{home} is not here ({error.name} is missing): nothing to compare with", flush=True)
            network.to("cpu")
    return held


def tell(who: str, classes: int, precision: str, found: Timed[np.ndarray], expected: np.ndarray) -> None:
    unlike = np.mean(found.result != expected)
    print(f"{who:9} {classes:3} classes  {precision:9} {found.row}  {60 / found.seconds:6.1f} scans a minute  "
          f"{unlike:.4%} of the labels differ", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, nargs=3, default=[300, 512, 512])
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 33])
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES, help="of each stage of the U-Net")
    parser.add_argument("--times", type=int, default=2)
    asked = parser.parse_args()
    if not precisions_on(asked.device):
        print(f"torch has no device {asked.device} here: `medinfer devices` says why.")
        return 2
    held = [
        compare(asked.device, asked.size, asked.patch, classes, asked.features, asked.times)
        for classes in asked.classes
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
