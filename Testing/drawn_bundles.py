"""Bundles as MONAI writes them, small and with networks that are drawn, not trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

Change = Callable[[dict[str, Any]], None]
POST, TRANSFORMS = "postprocessing::transforms", "preprocessing::transforms"
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
NEAREST = {**SOFTMAX[1], "nearest_interp": True}
SIGMOID = [
    {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}, SOFTMAX[1],
    {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.6},
]


def unet_config() -> dict[str, Any]:
    found = {
        "imports": ["$import glob"], "bundle_root": "/nowhere", "image_key": "image",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$list(sorted(glob.glob(@bundle_root + '/*.nii.gz')))",
        "network_def": UNET, "network": "$@network_def.to(@device)", "window": [20, 16, 12],
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": ["@image_key"], "pixdim": [1.41, 1.13, 2.03], "mode": ["bilinear"]},
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
    # Tests change it: nothing in it may be shared.
    return json.loads(json.dumps(found))


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


METADATA: dict[str, Any] = {
    "version": "0.5.3", "name": "Drawn things", "authors": "A. Uthor", "description": "Finds drawn things.",
    "intended_use": "Tests.", "data_source": "Noise", "references": ["First paper.", "Second paper."],
    "license": "Apache-2.0", "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT"}},
        "outputs": {"pred": {"channel_def": {"0": "background", "1": "egg", "2": "ball"}}},
    },
}


@cache
def drawn_weights(description: str) -> Any:
    """Weights that are not trained, and answers of every kind: no channel is higher than the others in the mean."""
    import torch
    from monai.networks import nets

    described = json.loads(description)
    arguments = {key: value for key, value in described.items() if key != "_target_"}
    torch.manual_seed(3)
    made = getattr(nets, described["_target_"].rpartition(".")[2])(**arguments).eval()
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(20, 20, 20)), 1.2)
    example = torch.from_numpy(np.interp(noise, [noise.min(), noise.max()], [-1, 1]).astype(np.float32)[None, None])
    example = example.repeat(1, arguments["in_channels"], 1, 1, 1)
    with torch.inference_mode():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
        values = made(example).flatten(2)[0]
        last = {name[-4:]: value for name, value in made.named_parameters() if value.shape[:1] == values.shape[:1]}
        last["ight"] *= 2 / values.std(dim=1).mean()
        last["bias"] -= made(example).flatten(2)[0].mean(dim=1)
    return made.state_dict()


def bundle(
    folder: Path, config: dict[str, Any], *, change: Change = lambda found: None, weights: Any = None,
    wrapped: bool = False, metadata: dict[str, Any] = METADATA,
) -> Path:
    import torch

    kept = drawn_weights(json.dumps(config["network_def"])) if weights is None else weights
    change(config)
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save({"model": kept, "epoch": 3} if wrapped else kept, folder / "models" / "model.pt")
    return folder


def changed(place: str, value: Any) -> Change:
    """Replace what stands at a::b::0."""

    def change(found: dict[str, Any]) -> None:
        *way, last = place.split("::")
        for key in way:
            found = found[int(key) if key.isdigit() else key]
        found[int(last) if last.isdigit() else last] = value

    return change
