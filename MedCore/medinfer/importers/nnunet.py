"""A result folder of nnU-Net v2 as a model package that gives the labels that `nnUNetv2_predict` gives.

The network becomes ONNX once; after that neither nnU-Net nor torch is needed.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PackageError
from ..library.package import sha256_of, write_manifest
from ..manifest import SCHEMA_VERSION
from .image_names import image_names
from .nnunet_network import INPUT, OUTPUT, build, fill, read_checkpoint, write_onnx
from .nnunet_plans import Channel, Plan, check_version, read_plan

_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
_GOLDEN = 0.618034


def result_folders(folder: Path) -> list[Path]:
    """The folders with folds in or below `folder`."""
    homes = {path.parent for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}fold_*") if path.is_dir()}
    return sorted(homes)


def import_nnunet(source: Path, folder: Path) -> Path:
    """Write a package for the result folder `source` into `folder`, which is made; returns it.

    All folds that are there count, as in `nnUNetv2_predict`. Of a cascade's second stage the first one must lie beside
    it, and both become passes of one package. Needs torch and dynamic-network-architectures (extra
    "nnunet"). Raises PackageError for what is not such a folder or cannot be repeated.
    """
    home = _only(source, result_folders(source))
    stages = [_read(home)]
    while (previous := stages[0].plan.previous) is not None:
        stages.insert(0, _read(_stage_before(stages[0], previous)))
    folder.mkdir(parents=True)
    passes = [_pass(stage, folder, alone=len(stages) == 1) for stage in stages]
    write_manifest(folder, _manifest(stages[-1].plan, passes))
    return folder


@dataclass(frozen=True, eq=False)
class _Stage:
    """A result folder: its plan, a checkpoint of each fold, and what the first of these holds."""

    home: Path
    plan: Plan
    checkpoints: Sequence[Path]
    first: Mapping[str, Any]


def _read(home: Path) -> _Stage:
    check_version(home)
    checkpoints = _checkpoints(home)
    first = read_checkpoint(checkpoints[0])
    plan = read_plan(home, first.get("init_args", {}).get("configuration"))
    if plan.previous and plan.overlapping:
        raise PackageError(f"{home} is a cascade of regions, which is not supported: add its first stage alone.")
    return _Stage(home, plan, checkpoints, first)


def _only(source: Path, homes: Sequence[Path]) -> Path:
    """The result folder to import: the only one, or of a cascade's stages the last. Raises PackageError."""
    if not homes:
        raise PackageError(f"{source} has no fold_0 or other folds: give a result folder of nnU-Net v2.")
    if len(homes) == 1:
        return homes[0]
    ends = {home.name.rpartition("__")[2]: home for home in homes}
    if len(homes) == 2 and set(ends) == {"3d_lowres", "3d_cascade_fullres"}:
        return ends["3d_cascade_fullres"]
    listed = ", ".join(str(home.relative_to(source)) for home in homes)
    raise PackageError(f"{source} has several results of nnU-Net: give one of {listed}.")


def _stage_before(stage: _Stage, previous: str) -> Path:
    """The folder beside it with the results of the stage before. Raises PackageError where there is none."""
    name = f"{stage.home.name.rpartition('__')[0]}__{previous}"
    beside = stage.home.with_name(name)
    if not result_folders(beside) or not beside.is_dir():
        raise PackageError(
            f"{stage.home} is the second stage of a cascade, whose first stage {name} is missing beside it: copy that "
            "folder too."
        )
    return beside


def _checkpoints(home: Path) -> list[Path]:
    """One of each fold: the final one, or the best where there is no final one."""
    found = []
    for fold in sorted(home.glob("fold_*")):
        names = [name for name in _CHECKPOINTS if (fold / name).is_file()]
        if not names:
            raise PackageError(f"{fold} has no {_CHECKPOINTS[0]}: copy it too, or remove the folder of this fold.")
        found.append(fold / names[0])
    return found


def _pass(stage: _Stage, folder: Path, *, alone: bool) -> dict[str, Any]:
    """Write the stage's networks into `folder`; returns its pass. alone: there is no other stage."""
    plan = stage.plan
    network = build(plan, plan.outputs, stage.home)
    mirrored = stage.first.get("inference_allowed_mirroring_axes") or ()
    files = []
    for path in stage.checkpoints:
        fill(network, stage.first if path == stage.checkpoints[0] else read_checkpoint(path), path)
        name = f"{path.parent.name}.onnx" if alone else f"{plan.configuration}-{path.parent.name}.onnx"
        write_onnx(network, plan, folder / name)
        files.append([{"path": name, "format": "onnx", "sha256": sha256_of(folder / name)}])
    first, *further = files
    axes = plan.axes[3 - plan.dimensions:]
    return {
        "name": "segments" if alone else plan.configuration, "prepare": _prepare(plan),
        "network": {
            "files": first, "further": further, "inputs": _inputs(plan), "output": OUTPUT, "channels": plan.outputs,
            "dimensions": plan.dimensions, "mirror": ["kji"["zyx".index(axes[axis])] for axis in mirrored],
        },
        "tiling": {"join": "blend", "patch": plan.patch, "overlap": 0.5, "weights": "nnunet", "pad": 0.0},
        "decoder": {
            "kind": "segments", "activation": "sigmoid" if plan.overlapping else "softmax", "decide": "logits",
        },
    }


def _manifest(plan: Plan, passes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    title = f"{plan.dataset.partition('_')[2] or plan.dataset} ({plan.configuration})"
    return {
        "schema_version": SCHEMA_VERSION, "id": _id(f"{plan.dataset}-{plan.configuration}"), "version": "1.0.0",
        "title": title, "task": "segment", "card": _card(plan), "images": _images(plan), "labels": _labels(plan),
        "passes": [*passes], "result": [{"of": passes[-1]["name"], "as": "objects"}],
    }


def _images(plan: Plan) -> list[dict[str, str]]:
    """None for a single one, which is the scan."""
    if len(plan.channels) == 1:
        return []
    return [
        {"name": name, "title": channel.name} for name, channel in zip(_names(plan), plan.channels, strict=True)
    ]


def _names(plan: Plan) -> list[str]:
    return image_names([channel.name for channel in plan.channels])


def _inputs(plan: Plan) -> list[dict[str, Any]]:
    inputs: list[dict[str, Any]] = [{"role": "image", "name": INPUT}]
    if len(plan.channels) > 1:
        inputs = [
            {"role": "image", "name": INPUT, "image": name, "intensity": _intensity(channel)}
            for name, channel in zip(_names(plan), plan.channels, strict=True)
        ]
    if plan.previous:
        inputs.append({"role": "labels", "name": INPUT, "of": plan.previous, "sampling": "linear"})
    return inputs


def _intensity(channel: Channel) -> list[dict[str, Any]]:
    numbers = channel.fingerprint
    known: dict[str, list[dict[str, Any]]] = {
        "CTNormalization": [
            {"op": "clip", "low": numbers.get("percentile_00_5"), "high": numbers.get("percentile_99_5")},
            {"op": "scale", "subtract": numbers.get("mean"), "divide": max(numbers.get("std", 1), 1e-8)},
        ],
        "ZScoreNormalization": [{"op": "zscore", "of": "nonzero" if channel.masked else "all"}],
        "RescaleTo01Normalization": [{"op": "range"}],
        "RGBTo01Normalization": [{"op": "scale", "subtract": 0, "divide": 255}],
        "NoNormalization": [],
    }
    return known[channel.normalisation]


def _prepare(plan: Plan) -> dict[str, Any]:
    first = plan.channels[0]
    ct = first.normalisation == "CTNormalization" or first.name.upper() in ("CT", "CBCT")
    return {
        "modality": ["CT"] if ct else ["MR", "CT", "PT", "NM", "US", "OT"],
        # As nnU-Net does: whatever is stored is taken, on the axes that it is stored on.
        "hounsfield": False, "orientation": None, "axes": plan.axes, "spacing": plan.spacing,
        "resampling": {"align": "edges", "interpolation": "cubic", "thick": "nearest"},
        "region": {"kind": "nonzero"}, "intensity": _intensity(first), "intensity_on": "scan",
        "minimum_mm": [0.1, 0.1, 0.1],
    }


def _labels(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"value": label.value, "name": _readable(label.name),
         "color": [round(part, 3) for part in colorsys.hsv_to_rgb(n * _GOLDEN % 1, 0.6, 0.9)]}
        for n, label in enumerate(plan.labels)
    ]


def _readable(name: str) -> str:
    """A label's name on one line without quotation marks."""
    return re.sub(r"[\s\"]+", " ", name).strip() or "label"


def _id(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].rstrip("-")


def _card(plan: Plan) -> dict[str, str]:
    return {
        "summary": f"nnU-Net {plan.configuration}, trained on {plan.dataset}: "
                   f"{', '.join(label.name for label in plan.labels[:8])}{' …' if len(plan.labels) > 8 else ''}.",
        "intended_use": "As its authors state; imported from a result folder of nnU-Net v2.",
        "limits": "Not for clinical use. Nothing was measured here. nnU-Net does not reorient scans: store them on the "
                  "same axes as those that it was trained on.",
        "training_data": plan.dataset, "licence": "LicenseRef-unknown", "authors": "Unknown",
    }
