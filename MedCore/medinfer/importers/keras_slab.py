"""Keras 1 HDF5 weights of the 2 mm nodule slab network (astoc/kaggle_dsb2017) as a model package.

Only numbers are read from the file: HDF5 data sets of known names, shapes and types. Nothing is unpickled.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import atomic_path
from ..errors import PackageError
from ..library.package import sha256_of, write_manifest
from ..manifest import SCHEMA_VERSION
from .slab_network import INPUT, KERNELS, OUTPUT, WINDOW, Layer, slab_network

# The public file; what is measured below is measured on it and on no other weights of the same shapes.
KNOWN_SHA256 = "e43d6e5920eb5f5b85612a63c603f34ae0f5a9d1130bad8e7ca1b15e763e262e"

# The highest activation that each convolution of the published weights hands on, over the slabs that begin at slices
# 40, 60, 76, 80, 100 and 130 of LIDC-IDRI-0003 at 2 mm (`Testing/benchmarks/slab_network.py --calibrate`).
ACTIVATION_RANGES = {
    "down1.first": 0.676, "down1.second": 0.773, "down2.first": 0.626, "down2.second": 0.856,
    "bottom.first": 0.577, "bottom.second": 0.420, "up2.first": 0.761, "up2.second": 0.695,
    "up1.first": 2.572, "up1.second": 6.207, "collapse1.first": 7.362, "collapse1.second": 11.41,
    "collapse2.first": 21.64,
}

POSITION = 4  # the slice of the window that the output belongs to
_AIR = -0.028  # the network's value of −1000 HU and less


def import_keras_slab(h5_path: Path | str, folder: Path | str) -> Path:
    """Write a package for the weights in `h5_path` into `folder`, which is made; returns the folder.

    It holds `model.json`, `network.onnx` (float32) and, for the published weights, `network-int8.onnx`.
    Needs h5py and onnx (extra “convert”). Raises PackageError for a file that is not this network, and
    OutputError where the folder cannot be written.
    """
    source, target = Path(h5_path), Path(folder)
    layers = read_layers(source)
    known = sha256_of(source) == KNOWN_SHA256
    networks = {"network.onnx": slab_network(layers)}
    if known:
        networks["network-int8.onnx"] = slab_network(layers, ACTIVATION_RANGES)
    for name, network in networks.items():
        with atomic_path(target / name) as partial:
            partial.write_bytes(network.SerializeToString(deterministic=True))
    identity = _PUBLISHED if known else _own_weights(sha256_of(source))
    entry = {
        "files": [{"path": name, "format": "onnx", "sha256": sha256_of(target / name)} for name in networks],
        "inputs": [{"role": "image", "name": INPUT}],
        "output": OUTPUT,
    }
    description = {
        **identity, "labels": NODULE_LABELS, "passes": [{**_PASS, "network": entry}],
        "result": [{"of": _PASS["name"], "as": "boxes", "measure": "nodule"}],
    }
    write_manifest(target, description)
    return target


def read_layers(path: Path) -> dict[str, Layer]:
    """The fifteen convolutions by the names of `slab_network.KERNELS`, their kernels flipped for correlation.

    The file was written with Theano's kernel order, in which a convolution turns its kernel round on all three axes.
    Raises PackageError.
    """
    try:
        import h5py
    except ImportError:
        raise PackageError("Reading a Keras file needs h5py: pip install 'medinfer[convert]'.") from None
    try:
        with h5py.File(path, "r") as file:
            names = sorted((name for name in file if re.fullmatch(r"convolution3d_\d+", name)), key=_number)
            if len(names) != len(KERNELS):
                raise _other_network(path, f"it has {len(names)} 3-D convolutions instead of {len(KERNELS)}")
            return {
                layer: _layer(path, file, name, shape)
                for name, (layer, shape) in zip(names, KERNELS.items(), strict=True)
            }
    except FileNotFoundError:
        raise PackageError(f"{path} does not exist; give the .h5 file of the network.") from None
    except (OSError, KeyError, RuntimeError) as error:
        raise PackageError(f"{path} is not a complete HDF5 file ({error}); download it again.") from None


def _layer(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> Layer:
    kernel = _numbers(path, file, f"{name}/{name}_W", shape)
    bias = _numbers(path, file, f"{name}/{name}_b", shape[:1])
    return Layer(kernel[:, :, ::-1, ::-1, ::-1].copy(), bias)


def _numbers(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> Any:
    entry = file.get(name)
    if getattr(entry, "shape", None) != shape or entry.dtype.kind != "f":
        found = "missing" if entry is None else f"{getattr(entry, 'shape', 'no array')}"
        raise _other_network(path, f"{name} is {found}, not {shape}")
    values = entry[...].astype(np.float32)
    if not np.isfinite(values).all():
        raise _other_network(path, f"{name} contains numbers that are not finite")
    return values


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _other_network(path: Path, why: str) -> PackageError:
    return PackageError(f"{path} is not the 2 mm slab network ({why}); only that Keras network can be imported.")


_CARD: dict[str, Any] = {
    "summary": "Marks lung nodules on chest CT slice by slice, from slabs of 16 mm.",
    "intended_use": "A real network for checking MedInfer's pipeline, and a reference for other detectors.",
    "limits": "Not for clinical use. Trained on LUNA16, so its findings on LIDC-IDRI scans say nothing about its "
              "accuracy on other scans. Components under 80 mm³ are dropped.",
    "training_data": "LUNA16 (LIDC-IDRI, CC BY 3.0; its annotations CC BY 4.0).",
    "measured": [
        {
            "what": "LUNA16 nodules found; centres off by at most; components that are none",
            "value": "4 of 4; 2.0 mm; 1 and 0 (int8 in OpenVINO)",
            "data": "LIDC-IDRI-0001 and -0003 (both belong to its training data)",
            "command": "python Testing/benchmarks/slab_network.py",
        },
    ],
    "licence": "MIT",
    "authors": "Andre Stochniol (team Alex, Andre, Gilberto, Shize: 8th place of the Data Science Bowl 2017)",
    "citation": "Stochniol et al., kaggle_dsb2017, code/Andre/nodule_identifiers/d8_2x2x2_best_weights.h5, 2017. "
                "Training data: Setio et al., Validation, comparison, and combination of algorithms for automatic "
                "detection of pulmonary nodules in CT images: the LUNA16 challenge, Med Image Anal 2017.",
    "homepage": "https://github.com/astoc/kaggle_dsb2017",
}

_PUBLISHED: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "id": "nodule-slab-2mm",
    "version": "1.0.0",
    "title": "Lung nodules, 2 mm slab U-Net (astoc/kaggle_dsb2017)",
    "task": "detect",
    "card": _CARD,
}


def _own_weights(sha256: str) -> dict[str, Any]:
    """What can be said of a file with the network's shapes and other numbers."""
    unknown = {
        "limits": "Not for clinical use. These are not the published weights; nothing was measured with them.",
        "training_data": "Unknown.", "measured": [], "licence": "LicenseRef-unknown", "authors": "Unknown",
    }
    return {
        **_PUBLISHED, "id": f"nodule-slab-2mm-{sha256[:8]}", "title": "Lung nodules, 2 mm slab U-Net, own weights",
        "card": {**_CARD, **unknown},
    }


_PASS: dict[str, Any] = {
    "name": "nodules",
    "prepare": {
        "modality": ["CT"],
        "orientation": "LPS",
        "spacing": [2, 2, 2],
        # The slab reaches 8 mm before and 6 mm behind the slice that it answers for.
        "region": {"kind": "lungs", "margin_mm": [10, 10], "clean": False},
        "intensity": [
            {"op": "clip", "low": -1000, "high": 400},
            {"op": "scale", "subtract": -1000, "divide": 1400},
            {"op": "scale", "subtract": -_AIR, "divide": 1},
        ],
        "minimum_mm": [40, 100, 100],
    },
    "tiling": {"join": "slabs", "window": WINDOW, "position": POSITION, "multiple": 4, "pad": _AIR},
    # Components of fewer than 10 voxels (80 mm³) are specks.
    "decoder": {"kind": "labels", "threshold": 0.5, "min_voxels": 10, "connectivity": 26},
}

NODULE_LABELS: list[dict[str, Any]] = [{
    "value": 1, "name": "Nodule", "color": [0.95, 0.62, 0.13],
    "terminology": {
        "category": {"scheme": "SCT", "value": "49755003", "meaning": "Morphologically Altered Structure"},
        "type": {"scheme": "SCT", "value": "27925004", "meaning": "Nodule"},
        "region": {"scheme": "SCT", "value": "39607008", "meaning": "Lung"},
    },
}]
