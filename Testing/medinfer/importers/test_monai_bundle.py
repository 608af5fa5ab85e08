"""MONAI bundles: the package's labels against those that MONAI itself gives, from the same bundle and the same file."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage
from medinfer.scans.reading import read_volume

torch = pytest.importorskip("torch")
nets = pytest.importorskip("monai.networks.nets")
nibabel = pytest.importorskip("nibabel")

Change = Callable[[dict[str, Any]], None]
UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2],
    "num_res_units": 1, "norm": "batch",
}
SEGRESNET = {
    "_target_": "monai.networks.nets.SegResNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
    "init_filters": 4, "blocks_down": [1, 1], "blocks_up": [1], "dropout_prob": 0.2,
    "norm": ["GROUP", {"num_groups": 2}],
}
SOFTMAX = [
    {"_target_": "Activationsd", "keys": "pred", "softmax": True},
    {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key",
     "meta_key_postfix": "meta_dict", "nearest_interp": False, "to_tensor": True},
    {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
]
SIGMOID = [
    {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}, SOFTMAX[1],
    {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.4},
]


def unet_config() -> dict[str, Any]:
    return {
        "imports": ["$import glob"], "bundle_root": "/nowhere", "image_key": "image",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$list(sorted(glob.glob(@bundle_root + '/*.nii.gz')))",
        "network_def": UNET, "network": "$@network_def.to(@device)", "window": [20, 16, 12],
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": ["@image_key"], "pixdim": [1.4, 1.1, 2.0], "mode": ["bilinear"]},
            {"_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -57, "a_max": 164, "b_min": -1,
             "b_max": 1, "clip": True},
            {"_target_": "EnsureTyped", "keys": "@image_key"},
        ]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "$@window", "sw_batch_size": 3, "overlap": 0.625,
                    "mode": "gaussian"},
        "postprocessing": {"_target_": "Compose", "transforms": [
            *SOFTMAX, {"_target_": "SaveImaged", "keys": "pred", "_disabled_": True, "output_dir": "@bundle_root"},
        ]},
    }


def segresnet_config() -> dict[str, Any]:
    found = unet_config()
    found["network_def"] = SEGRESNET
    found["preprocessing"]["transforms"] = [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "SPL"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": 1.5},
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
        {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1, "maxv": 1},
    ]
    # Wider than the scan along one axis, and MONAI's own overlap and weights.
    found["inferer"] = {"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [16, 36, 20]}
    found["postprocessing"]["transforms"] = SIGMOID
    return found


METADATA = {
    "version": "0.5.3", "name": "Drawn things", "authors": "A. Uthor", "description": "Finds drawn things.",
    "intended_use": "Tests.", "data_source": "Noise", "references": ["First paper.", "Second paper."],
    "license": "Apache-2.0", "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT"}},
        "outputs": {"pred": {"channel_def": {"0": "background", "1": "egg", "2": "ball"}}},
    },
}


def drawn_network(described: dict[str, Any]) -> Any:
    """Weights that are not trained, and answers of every kind: no channel is higher than the others in the mean."""
    arguments = {key: value for key, value in described.items() if key != "_target_"}
    torch.manual_seed(3)
    made = getattr(nets, described["_target_"].rpartition(".")[2])(**arguments).eval()
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(20, 20, 20)), 1.2)
    example = torch.from_numpy(np.interp(noise, [noise.min(), noise.max()], [-1, 1]).astype(np.float32)[None, None])
    with torch.inference_mode():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
        values = made(example).flatten(2)[0]
        last = {name[-4:]: value for name, value in made.named_parameters() if value.shape[:1] == values.shape[:1]}
        last["ight"] *= 2 / values.std(dim=1).mean()
        last["bias"] -= made(example).flatten(2)[0].mean(dim=1)
    return made


def bundle(
    folder: Path, config: dict[str, Any], *, change: Change = lambda found: None, weights: Any = None,
    wrapped: bool = False, metadata: dict[str, Any] = METADATA,
) -> Path:
    kept = drawn_network(config["network_def"]).state_dict() if weights is None else weights
    change(config)
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save({"model": kept, "epoch": 3} if wrapped else kept, folder / "models" / "model.pt")
    return folder


def scan(path: Path, shape: tuple[int, int, int] = (34, 30, 22)) -> Path:
    """Smooth noise on an oblique, anisotropic grid; some of it is 0. shape: along x, y, z."""
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=shape), 1.3)
    voxels = np.where(noise > 0.06, 0, 60 + 900 * noise)
    turn = np.linalg.qr(np.eye(3) + 0.2 * np.random.default_rng(4).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([0.9, -1.3, 1.8]), (20, -30, 40)
    nibabel.save(nibabel.Nifti1Image(np.rint(voxels).astype(np.int16), matrix), path)
    return path


def at_home(home: Path, path: Path) -> np.ndarray:
    """The bundle run by MONAI: its own parser, transforms, inferer and inverse transforms. `[k, j, i]`."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(home / "configs" / "inference.json")
    network = parser.get_parsed_content("network_def").eval()
    kept = torch.load(home / "models" / "model.pt", weights_only=True)
    network.load_state_dict(kept.get("model", kept))
    data = parser.get_parsed_content("preprocessing")({"image": path})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
        data = parser.get_parsed_content("postprocessing")(data)
    (labels,) = data["pred"].numpy()
    return labels.T.astype(int)


def here(package: ModelPackage, path: Path) -> np.ndarray:
    volume = read_volume(path)
    with open_package(package, backend="auto", precision="float32") as session:
        return run(volume, package, session).label_map.whole(volume).voxels


def alike(found: np.ndarray, expected: np.ndarray, labels: int, parted: int) -> None:
    """Dice of each label at least 0.999, and no more than `parted` voxels differ."""
    assert set(range(labels + 1)) == set(np.unique(expected))
    print("differ", np.count_nonzero(found != expected), "of", expected.size)
    for value in range(1, labels + 1):
        mine, theirs = found == value, expected == value
        print(value, theirs.sum(), 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()))
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) >= 0.999
    assert np.count_nonzero(found != expected) <= parted


def test_a_unet_with_softmax_gives_monais_labels(tmp_path: Path) -> None:
    home, path = bundle(tmp_path / "bundle", unet_config()), scan(tmp_path / "scan.nii.gz")
    alike(here(add(home), path), at_home(home, path), 2, 9)


def test_a_segresnet_with_a_sigmoid_gives_monais_labels(tmp_path: Path) -> None:
    home = bundle(tmp_path / "bundle", segresnet_config(), wrapped=True)
    path = scan(tmp_path / "scan.nii.gz")
    alike(here(add(home), path), at_home(home, path), 1, 9)
