"""Published nodule detectors of grt123's kind as model packages. Of their checkpoints nothing is run.

grt123's (github.com/lfz/DSB2017, MIT), and DeepLung's residual and dual-path networks (github.com/wentaozhu/DeepLung,
Apache-2.0), each by its own recipe. The network becomes ONNX once; after that torch is not needed.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PackageError
from ..library.package import sha256_of, write_manifest
from ..manifest import SCHEMA_VERSION
from .detector_signs import DUAL_PATH, RESIDUAL
from .exported import ALIKE, difference
from .keras_slab import NODULE_LABELS
from .safe_checkpoint import open_safely

# Beside the weights their training's options are in the checkpoints: plain values with names.
_OPTIONS = (argparse.Namespace,)
_STRIDE = 4


@dataclass(frozen=True)
class _Recipe:
    """What a publication's code says beside the network. anchors: edges in mm."""

    id: str
    title: str
    anchors: tuple[float, float, float]
    licence: str
    homepage: str
    citation: str


RECIPES: Mapping[str, _Recipe] = {
    "grt123": _Recipe(
        "grt123", "Lung nodules: grt123 (DSB 2017)", (10, 30, 60), "MIT", "https://github.com/lfz/DSB2017",
        "Liao et al., Evaluate the Malignancy of Pulmonary Nodules Using the 3-D Deep Leaky Noisy-OR Network, IEEE "
        "TNNLS 2019.",
    ),
    "deeplung": _Recipe(
        "deeplung", "Lung nodules: DeepLung", (5, 10, 20), "Apache-2.0", "https://github.com/wentaozhu/DeepLung",
        "Zhu et al., DeepLung: Deep 3D Dual Path Nets for Automated Pulmonary Nodule Detection and Classification, "
        "WACV 2018.",
    ),
}


def import_detector(source: Path, folder: Path, format: str) -> Path:
    """Write a package for the checkpoint `source` into `folder`, which is made; returns it.

    format: whose it is, one of `RECIPES`: the files look alike, the anchors differ. Needs torch and onnx. Raises
    PackageError for a file with anything but tensors, numbers and words in it, and for other networks.
    """
    recipe = RECIPES[format]
    try:
        import onnx  # noqa: F401 (torch's exporter needs it)
        import torch  # noqa: F401
    except ImportError:
        raise PackageError(
            f"Converting a detector of {format} needs torch and onnx: pip install 'medinfer[torch,convert]'."
        ) from None
    weights = _weights(source)
    network, kind = _network(source, weights, format)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise PackageError(f"{source} does not fit the network of {recipe.id} ({why}).") from None
    folder.mkdir(parents=True)
    _write_onnx(network.eval().requires_grad_(False), folder / "network.onnx")
    write_manifest(folder, _manifest(recipe, kind, folder / "network.onnx"))
    return folder


def _weights(source: Path) -> dict[str, Any]:
    import torch

    try:
        found = open_safely(source, str(source), "give the checkpoint as it was published", _OPTIONS)
    except OSError as error:
        raise PackageError(f"{source} cannot be read ({error.strerror or error}).") from None
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise PackageError(f"{source} holds no weights of a network: give the checkpoint as it was published.")
    weights = {str(name).removeprefix("module."): value for name, value in state.items()}
    for name in [name for name in weights if name.endswith(".weight") and weights[name].dim() == 1]:
        # Torch of that time did not count the batches that it saw.
        counter = f"{name.removesuffix('weight')}num_batches_tracked"
        weights.setdefault(counter, torch.zeros((), dtype=torch.long))
    return weights


def _network(source: Path, weights: Mapping[str, Any], format: str) -> tuple[Any, str]:
    """The network without weights, and the word for its kind. Raises PackageError where the names are another's."""
    from .anchor_net import GRT123, AnchorNet
    from .dual_path_net import DualPathNet

    if RESIDUAL in weights:
        return AnchorNet(GRT123), "residual"
    if DUAL_PATH in weights and format == "deeplung":
        return DualPathNet(), "dual-path"
    first = ", ".join(list(weights)[:3])
    raise PackageError(f"{source} is no detector of {format}: its tensors are {first}, …; give another checkpoint.")


def _write_onnx(network: Any, path: Path) -> None:
    """Export the network for tiles of any size, and compare its answer with torch's for another size."""
    import torch

    axes = {
        "image": {0: "batch", 2: "z", 3: "y", 4: "x"},
        "coordinates": {0: "batch", 2: "cells_z", 3: "cells_y", 4: "cells_x"},
        "anchors": {0: "batch", 1: "cells_z", 2: "cells_y", 3: "cells_x"},
    }
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of tracing
        torch.onnx.export(
            network, _example((32, 32, 32)), str(path), input_names=["image", "coordinates"], output_names=["anchors"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )
        image, coordinates = _example((32, 48, 64))
        expected = network(image, coordinates).numpy()
    off = difference(path, {"image": image.numpy(), "coordinates": coordinates.numpy()}, expected)
    if not off <= ALIKE:
        raise PackageError(f"The exported network differs from torch's own answer by {off:.2g}: it was not added.")


def _example(sides: Sequence[int]) -> tuple[Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, *sides, generator=generator) * 2 - 1
    return image, torch.rand(1, 3, *(side // _STRIDE for side in sides), generator=generator) - 0.5


def _manifest(recipe: _Recipe, kind: str, network: Path) -> dict[str, Any]:
    """grt123's preparation, tiles and anchors (the recipe's), for a network whose file is written."""
    return {
        "schema_version": SCHEMA_VERSION, "id": f"{recipe.id}-nodules", "version": "1.0.0", "title": recipe.title,
        "task": "detect", "card": _card(recipe, kind),
        "labels": NODULE_LABELS,
        "passes": [{
            "name": "nodules",
            "prepare": {
                "modality": ["CT"], "orientation": "LPS", "spacing": [1, 1, 1],
                "region": {"kind": "lungs", "margin_mm": [5, 10], "clean": True},
                # HU to the recipe's 0…255, then (x − 128) / 128.
                "intensity": [
                    {"op": "clip", "low": -1200, "high": 600},
                    {"op": "scale", "subtract": -1200 + 128 * 1800 / 255, "divide": 128 * 1800 / 255},
                ],
                "minimum_mm": [40, 100, 100],
            },
            "network": {
                "files": [{"path": network.name, "format": "onnx", "sha256": sha256_of(network)}],
                "inputs": [{"role": "image", "name": "image"}, {"role": "coordinates", "name": "coordinates"}],
                "output": "anchors", "channels": 5 * len(recipe.anchors), "layout": "channels_last",
            },
            "tiling": {
                "join": "crop", "patch": [208, 208, 208], "margin": [32, 32, 32], "stride": _STRIDE, "multiple": 16,
                "fit": False, "border": "padded", "pad": (170 - 128) / 128,
            },
            "decoder": {"kind": "anchors", "anchors": list(recipe.anchors), "threshold": 0.5, "nms_iou": 0.05},
        }],
        "result": [{"of": "nodules", "as": "boxes", "measure": "nodule"}],
    }


def _card(recipe: _Recipe, kind: str) -> dict[str, Any]:
    return {
        "summary": f"Marks lung nodules on chest CT with a box and a score ({kind} network of {recipe.id}).",
        "intended_use": "Research, as its authors state; imported from their checkpoint.",
        "limits": "Not for clinical use. Nothing was measured with this package; its threshold is MedInfer's.",
        "training_data": "LUNA16 and, for grt123, the Data Science Bowl of 2017, as its authors state.",
        "licence": recipe.licence, "authors": "The authors of the publication", "citation": recipe.citation,
        "homepage": recipe.homepage,
    }
