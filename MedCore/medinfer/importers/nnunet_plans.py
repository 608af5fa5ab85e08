"""What a result folder of nnU-Net v2 says of its network: `plans.json` and `dataset.json`, read as data.

Sizes and spacings there follow the network's axes, which `transpose_forward` orders; here they are turned back to
k, j, i.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PackageError

# nnU-Net's own resampling, which the engine repeats; and the arguments that it knows.
_RESAMPLING = "resample_data_or_seg_to_shape"
_KNOWN = {"is_seg": False, "order_z": 0, "force_separate_z": None}
_NORMALISATIONS = (
    "CTNormalization", "ZScoreNormalization", "RescaleTo01Normalization", "RGBTo01Normalization", "NoNormalization",
)


@dataclass(frozen=True)
class Region:
    """One label: name, its value in a label map, and the channel order in which labels are written."""

    name: str
    value: int


@dataclass(frozen=True)
class Channel:
    """One image of the network. fingerprint: mean, deviation and percentiles of the foreground. masked: whether its
    values are normalised among the voxels that are not 0."""

    name: str
    normalisation: str
    masked: bool
    fingerprint: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """One configuration of nnU-Net.

    axes: the network's, slowest first ("zyx"). patch, spacing: along k, j, i; None keeps the scan's own. overlapping:
    whether labels have a sigmoid each. previous: the configuration whose labels a cascade's second stage is fed.
    architecture: class name and arguments.
    """

    dataset: str
    configuration: str
    axes: str
    dimensions: int
    patch: tuple[int, int, int]
    spacing: tuple[float | None, float | None, float | None]
    channels: tuple[Channel, ...]
    labels: tuple[Region, ...]
    overlapping: bool
    previous: str | None
    architecture: Mapping[str, Any]

    @property
    def inputs(self) -> int:
        """Channels of the network's input: the images, and each label of the previous stage."""
        return len(self.channels) + (len(self.labels) if self.previous else 0)

    @property
    def outputs(self) -> int:
        """Channels of its output: the background has one where labels do not overlap."""
        return len(self.labels) + (not self.overlapping)


def read_plan(folder: Path, name: str | None) -> Plan:
    """The configuration `name` of the plans in a result folder. None: that which the folder's own name ends in
    (`TRAINER__PLANS__CONFIGURATION`). Raises PackageError."""
    plans, dataset = _json(folder / "plans.json"), _json(folder / "dataset.json")
    try:
        name = name or folder.name.rpartition("__")[2]
        if name not in plans["configurations"]:
            raise PackageError(
                f"{folder / 'plans.json'} has no configuration {name!r}, but {', '.join(plans['configurations'])}: "
                "copy the whole result folder again."
            )
        configuration = _inherited(plans["configurations"], name)
        _check(folder, name, configuration)
        axes = "".join("zyx"[axis] for axis in plans["transpose_forward"])
        patch, spacing = configuration["patch_size"], configuration["spacing"]
        flat = len(patch) == 2
        labels, overlapping = _labels(folder, dataset)
        return Plan(
            dataset=str(plans["dataset_name"]), configuration=name, axes=axes, dimensions=len(patch),
            patch=_along_kji([1, *patch] if flat else patch, axes),
            spacing=_along_kji([None, *spacing] if flat else spacing, axes),
            channels=_channels(configuration, plans["foreground_intensity_properties_per_channel"], dataset),
            labels=labels, overlapping=overlapping, previous=configuration.get("previous_stage") or None,
            architecture=_architecture(configuration),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise PackageError(
            f"{folder / 'plans.json'} or dataset.json beside it lacks what nnU-Net v2 writes there ({error!r}): copy "
            "the whole result folder again."
        ) from error


def check_version(folder: Path) -> None:
    """Raises PackageError for a result folder of nnU-Net v1, whose plans are a pickle."""
    if (folder / "plans.pkl").exists() and not (folder / "plans.json").exists():
        raise PackageError(
            f"{folder} has plans.pkl of nnU-Net v1, which is never opened: train or convert it with nnU-Net v2."
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackageError(
            f"{path.parent} has no {path.name}: give a result folder of nnU-Net v2 (plans.json, dataset.json, fold_0)."
        ) from None
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} cannot be read ({error}): copy the result folder again.") from None
    if not isinstance(found, dict):
        raise PackageError(f"{path} is not what nnU-Net v2 writes: copy the result folder again.")
    return found


def _inherited(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    own = configurations[name]
    parent = own.get("inherits_from")
    return {**(_inherited(configurations, parent) if parent else {}), **own}


def _check(folder: Path, name: str, configuration: Mapping[str, Any]) -> None:
    """Raises PackageError for what the engine cannot repeat."""
    unknown = [scheme for scheme in configuration["normalization_schemes"] if scheme not in _NORMALISATIONS]
    why = ""
    if unknown:
        why = f"its normalisation {unknown[0]} is unknown"
    for kind, order in (("data", 3), ("probabilities", 1)):
        function, arguments = (configuration.get(f"resampling_fn_{kind}{part}") for part in ("", "_kwargs"))
        if function is not None and (function != _RESAMPLING or arguments != {**_KNOWN, "order": order}):
            why = why or f"its resampling of {kind} ({function} with {arguments}) is unknown"
    if why:
        raise PackageError(f"{folder} cannot become a model: {why}.")


def _channels(
    configuration: Mapping[str, Any], fingerprints: Mapping[str, Any], dataset: Mapping[str, Any]
) -> tuple[Channel, ...]:
    """In the order of the network's input; dataset.json numbers them as text."""
    names = dataset.get("channel_names", dataset.get("modality", {}))
    ordered = sorted(names.items(), key=lambda entry: int(entry[0]))
    return tuple(
        Channel(str(name), scheme, bool(masked), fingerprints[number])
        for (number, name), scheme, masked in zip(
            ordered, configuration["normalization_schemes"], configuration["use_mask_for_norm"], strict=True
        )
    )


def _along_kji(values: Sequence[Any], axes: str) -> tuple[Any, Any, Any]:
    k, j, i = (values[axes.index(axis)] for axis in "zyx")
    return k, j, i


def _labels(folder: Path, dataset: Mapping[str, Any]) -> tuple[tuple[Region, ...], bool]:
    """The labels in the order of the network's channels, and whether they overlap."""
    labels = {name: value for name, value in dataset["labels"].items() if name not in ("background", "ignore")}
    overlapping = any(isinstance(value, list) and len(value) > 1 for value in labels.values())
    if overlapping:
        # Channel n is written as the n-th value, and later ones over earlier ones.
        order = dataset["regions_class_order"]
        return tuple(Region(name, int(value)) for name, value in zip(labels, order, strict=True)), True
    single = {name: int(value[0] if isinstance(value, list) else value) for name, value in labels.items()}
    ordered = sorted(single.items(), key=lambda entry: entry[1])
    if [value for _, value in ordered] != list(range(1, len(ordered) + 1)):
        raise PackageError(f"{folder / 'dataset.json'} has labels whose values are not 1, 2, 3, …: correct it.")
    return tuple(Region(name, value) for name, value in ordered), False


def _architecture(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Class and arguments as plans of today give them; plans of 2023 had other words."""
    if "architecture" in configuration:
        found: dict[str, Any] = configuration["architecture"]
        return found
    kernels = configuration["conv_kernel_sizes"]
    base, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
    flat = "2d" if len(kernels[0]) == 2 else "3d"
    residual = configuration["UNet_class_name"] == "ResidualEncoderUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{configuration['UNet_class_name']}",
        "arch_kwargs": {
            "n_stages": len(kernels), "features_per_stage": [min(base * 2**n, most) for n in range(len(kernels))],
            "conv_op": f"torch.nn.modules.conv.Conv{flat}", "kernel_sizes": kernels,
            "strides": configuration["pool_op_kernel_sizes"],
            "n_blocks_per_stage" if residual else "n_conv_per_stage": configuration["n_conv_per_stage_encoder"],
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"], "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{flat}",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
