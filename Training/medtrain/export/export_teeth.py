"""Write trained stages into the tooth package: `python -m medtrain export-teeth --out FOLDER --instances FILE …`.

Writes an ONNX file a stage, compares it with the network at several sizes, and writes the package's `model.json` around
them: labels, codes and arches come from `tooth_names`, sizes from `tooth_stages`; the card that stands there stays.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medinfer.atomic_files import write_text
from medinfer.manifest import SCHEMA_VERSION

from ..datasets.tooth_names import NAMES, arches, manifest_labels
from ..networks.instance_unet import InstanceNet, InstanceUNet
from ..networks.scse_unet import ScseUnet, SegmentationNet
from ..networks.tooth_classifier import ToothClassifier, ToothClassNet
from ..training.tooth_stages import CANAL_SIZE, PATCH, POINT_SIGMA, StageName
from ..training.train_teeth import averaged_network
from .onnx_export import export_onnx
from .package_stamp import stamp

# Sides on which the files are compared with the networks: also odd ones.
_CHECKED = ((48, 56, 64), (37, 51, 43))

INPUTS: dict[StageName, tuple[str, ...]] = {
    "centroids": ("input",), "instances": ("input",), "naming": ("cropped_img", "point"), "canal": ("input",),
}
OUTPUTS: dict[StageName, tuple[str, ...]] = {
    "centroids": ("centroid",), "instances": ("seg", "offset_z", "offset_y", "offset_x"), "naming": ("output",),
    "canal": ("seg",),
}
"""The names of the source documents' exports."""

_CANAL: dict[str, Any] = {
    "value": 101, "name": "Mandibular canal", "color": [0.85, 0.42, 0.78], "group": "Mandible",
    "names": {"anatomical": "Mandibular canal"},
}


def exported(net: nn.Module) -> nn.Module:
    """What is written of a trained network: probabilities, and the offsets as they are."""
    if isinstance(net, InstanceUNet):
        return InstanceNet(net)
    if isinstance(net, ToothClassifier):
        return ToothClassNet(net)
    assert isinstance(net, ScseUnet)
    return SegmentationNet(net)


def examples(stage: StageName) -> list[dict[str, Tensor]]:
    """Inputs like a scan's."""
    generator = torch.Generator().manual_seed(0)
    sizes = (PATCH,) if stage == "naming" else _CHECKED
    return [{name: torch.rand(1, 1, *size, generator=generator) for name in INPUTS[stage]} for size in sizes]


def manifest(card: Mapping[str, Any]) -> dict[str, Any]:
    """The `model.json` of the package, with empty digests."""
    # At a half the bundled network's teeth are 15 % too large on phantoms beside the training's and the held-out ones.
    instances = {
        "kind": "instances", "threshold": 0.8, "foreground": 0.75, "separation_mm": 3.0, "min_volume_mm3": 25.0}
    naming = {"kind": "classes", "threshold": 0.5, "arches": [{"places": arch} for arch in arches()]}
    return {
        "schema_version": SCHEMA_VERSION, "id": "teeth", "version": "1.0.0",
        "title": "Teeth and mandibular canal in cone-beam CT", "task": "segment", "card": dict(card),
        "labels": [*manifest_labels(), _CANAL], "unnamed": "tooth",
        "passes": [
            _pass("centroids", [], 1.0, {"kind": "whole"}, _crops(128, 24, 8), {
                "kind": "heatmap", "threshold": 0.13, "peaks": 64, "separation_mm": 3.5}),
            _pass("instances", [], 0.5, _around("centroids", 20), _crops(192, 24, 16), instances),
            _pass("naming", list(NAMES), 1.0, _around("instances", 2), {"join": "patches", "patch": PATCH}, naming),
            # scSE averages over a tile: it must be of the size that the network was trained on.
            _pass("canal", [_CANAL["name"]], 0.75, _around("centroids", 35), {
                "join": "crop", "patch": CANAL_SIZE, "margin": [12, 16, 16]}, {
                "kind": "segments", "min_volume_mm3": 60}),
        ],
        "result": [{"of": "naming", "as": "objects"}, {"of": "canal", "as": "objects"}],
    }


def _around(name: StageName, margin_mm: float) -> dict[str, Any]:
    return {"kind": "found", "of": name, "margin_mm": margin_mm}


def _pass(
    name: StageName, labels: Sequence[Any], spacing: float, region: Mapping[str, Any], tiling: Mapping[str, Any],
    decoder: Mapping[str, Any],
) -> dict[str, Any]:
    outputs = OUTPUTS[name]
    roles: list[dict[str, Any]] = [{"role": "image", "name": INPUTS[name][0]}]
    roles += [{"role": "point", "name": other, "sigma": POINT_SIGMA} for other in INPUTS[name][1:]]
    channels = {"centroids": 1, "instances": 4, "naming": len(NAMES), "canal": 1}[name]
    return {
        "name": name, "labels": list(labels),
        "prepare": {
            "modality": ["CT"], "hounsfield": False, "orientation": "LPS", "spacing": [spacing] * 3, "antialias": True,
            "region": dict(region), "minimum_mm": [12, 20, 20],
            "intensity": [{"op": "percentiles", "low": 0.5, "high": 98}, {"op": "clip", "low": -0.5, "high": 1.5}],
        },
        "network": {
            "files": [{"path": f"{name}.onnx", "format": "onnx", "sha256": "0" * 64}], "inputs": roles,
            "output": outputs[0] if len(outputs) == 1 else list(outputs), "channels": channels,
        },
        "tiling": dict(tiling), "decoder": dict(decoder),
    }


def _crops(patch: int, margin: int, multiple: int) -> dict[str, Any]:
    return {"join": "crop", "patch": [patch] * 3, "margin": [margin] * 3, "multiple": multiple, "fit": True}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain export-teeth", description=__doc__.split("\n")[0])
    for name in INPUTS:
        parser.add_argument(f"--{name}", type=Path, help=f"checkpoint of the stage {name}")
    parser.add_argument("--out", type=Path, required=True, help="the model package's folder")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in INPUTS:
        checkpoint = getattr(chosen, name)
        if checkpoint is None:
            continue
        path = chosen.out / f"{name}.onnx"
        worst = export_onnx(
            exported(averaged_network(checkpoint, name)), path, examples(name), OUTPUTS[name], tolerance=1e-3
        )
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs from the network by at most {worst:.2g}")
    path = chosen.out / "model.json"
    card = json.loads(path.read_text(encoding="utf-8"))["card"] if path.exists() else _NEW_CARD
    write_text(path, json.dumps(manifest(card), indent=2, ensure_ascii=False) + "\n")
    stamp(chosen.out)


_NEW_CARD = {
    "summary": "Teeth with their FDI numbers, and the mandibular canal, in cone-beam CT.",
    "intended_use": "Research and teaching.", "limits": "Not for clinical use.",
    "training_data": "Jaw phantoms (medtrain.phantoms.jaw) under domain randomisation; no real scan.",
    "licence": "Apache-2.0", "authors": "MedInfer",
}
