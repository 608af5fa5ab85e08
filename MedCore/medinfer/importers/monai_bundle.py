"""A MONAI bundle for segmentation as a model package that gives the labels that MONAI itself gives.

Its configuration is read as data; the network becomes ONNX once, or stays TorchScript.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import PackageError
from ..library.package import sha256_of, write_manifest
from ..manifest import SCHEMA_VERSION
from .image_names import image_names
from .monai_config import read_config
from .monai_decoding import Answer, answer, decoder, inferer
from .monai_network import INPUT, OUTPUT, check_network, input_channels, write_network
from .monai_preparation import preparation

_GOLDEN = 0.618034
_NONE = ("background", "bg", "0")


def _homes(folder: Path) -> list[Path]:
    """The folder itself, or those in it, that are bundles."""
    found = {path.parent.parent for depth in ("", "*/") for path in folder.glob(f"{depth}configs/metadata.json")}
    return sorted(found)


def import_bundle(source: Path, folder: Path) -> Path:
    """Write a package for the bundle `source` into `folder`, which is made; returns it.

    Needs torch, and monai where the network is given by its class (extra "monai"). Raises PackageError for what is no
    bundle, or for what of it cannot be repeated, which is named.
    """
    homes = _homes(source)
    if len(homes) != 1:
        listed = ", ".join(str(home.relative_to(source)) for home in homes)
        why = f"several bundles of MONAI: give one of {listed}" if homes else "no configs/metadata.json: give a bundle"
        raise PackageError(f"{source} has {why}.")
    (home,) = homes
    config, metadata = read_config(home / "configs"), read_config(home / "configs", "metadata.json").content
    check_network(config, home)
    images = _images(metadata, input_channels(config))
    prepare, tiling, answered = preparation(config, max(1, len(images))), inferer(config), answer(config)
    folder.mkdir(parents=True)
    written = write_network(config, home, tiling["patch"][::-1], folder)
    decoded = decoder(config, answered, written.channels, respaced=prepare["spacing"] is not None)
    labels = _labels(metadata, written.channels, answered)
    # Of those that overlap the last one wins here.
    order = [labels[channel]["name"] for channel in answered.numbered][::-1]
    manifest = {
        "schema_version": SCHEMA_VERSION, "id": _id(str(metadata.get("name") or home.name)),
        "version": _version(metadata), "title": _line(metadata.get("name")) or home.name, "task": "segment",
        "card": _card(metadata), "images": images, "labels": labels,
        "passes": [{
            "name": "segments", "prepare": {"modality": _modality(metadata), **prepare},
            "network": {
                "files": [{"path": written.name, "format": written.format, "sha256": sha256_of(folder / written.name)}],
                "inputs": [{"role": "image", "name": INPUT, **which} for which in _each(images)],
                "output": OUTPUT, "channels": written.channels,
            },
            "tiling": tiling, "decoder": {**decoded, "order": order},
        }],
        "result": [{"of": "segments", "as": "objects"}],
    }
    write_manifest(folder, manifest)
    return folder


def _images(metadata: Mapping[str, Any], channels: int) -> list[dict[str, Any]]:
    """The images that are the channels of the input, by the names that the metadata give them; none for one."""
    if channels == 1:
        return []
    said = _channel_names(metadata, "inputs", "image")
    titles = [_line(said.get(number)) or f"image {number + 1}" for number in range(channels)]
    return [{"name": name, "title": title} for name, title in zip(image_names(titles), titles, strict=True)]


def _each(images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each channel of the input shows; the scan, where there is one alone."""
    return [{"image": image["name"]} for image in images] or [{}]


def _labels(metadata: Mapping[str, Any], channels: int, answered: Answer) -> list[dict[str, Any]]:
    """A label for each channel but the background, by the names that the metadata give to channels."""
    names = _channel_names(metadata, "outputs", "pred")
    if answered.chosen == "highest":
        numbers = range(1, channels)
    elif channels == 1 and str(names.get(0, "background")).lower() in _NONE:
        # One channel of a foreground, described as if it had a background beside it.
        numbers, names = range(1), {0: names.get(1, "foreground")}
    else:
        numbers = range(channels)
    found: list[dict[str, Any]] = []
    for value, number in enumerate(numbers, start=1):
        name = _line(names.get(number)) or f"label {value}"
        if any(label["name"] == name for label in found):
            name = f"{name} {value}"
        color = [round(part, 3) for part in colorsys.hsv_to_rgb((value - 1) * _GOLDEN % 1, 0.6, 0.9)]
        found.append({"value": answered.numbered.get(number, value), "name": name, "color": color})
    return found


def _channel_names(metadata: Mapping[str, Any], side: str, usual: str) -> dict[int, Any]:
    """channel_def of the network's inputs or outputs, of the one with the usual name or else of the first."""
    ports = _inside(metadata, "network_data_format", side)
    port = ports.get(usual) or next(iter(ports.values()), None)
    names = _inside(port, "channel_def") if isinstance(port, Mapping) else {}
    return {int(number): name for number, name in names.items() if str(number).isdigit()}


def _inside(found: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _modality(metadata: Mapping[str, Any]) -> list[str]:
    inputs = _inside(metadata, "network_data_format", "inputs")
    said = {str(entry.get("modality", "")).upper() for entry in inputs.values() if isinstance(entry, Mapping)}
    return ["CT"] if said == {"CT"} else ["MR", "CT", "PT", "NM", "US", "OT"]


def _card(metadata: Mapping[str, Any]) -> dict[str, str]:
    references = metadata.get("references")
    return {
        "summary": _line(metadata.get("description")) or _line(metadata.get("task")) or "A MONAI bundle.",
        "intended_use": _line(metadata.get("intended_use")) or "As its authors state; imported from a MONAI bundle.",
        "limits": "Not for clinical use. Nothing was measured here.",
        "training_data": _line(metadata.get("data_source")) or "Unknown",
        "licence": _line(metadata.get("license") or metadata.get("licence")) or "LicenseRef-unknown",
        "authors": _line(metadata.get("authors")) or "Unknown",
        "citation": _line(references), "homepage": _line(metadata.get("homepage")),
    }


def _line(value: Any) -> str:
    """What metadata say, on one line without quotation marks; of a list its entries."""
    parts: Sequence[Any] = value if isinstance(value, list) else [value]
    return re.sub(r"[\s\"]+", " ", "; ".join(str(part) for part in parts if part)).strip()


def _version(metadata: Mapping[str, Any]) -> str:
    version = str(metadata.get("version", ""))
    return version if re.fullmatch(r"\d+\.\d+\.\d+", version) else "1.0.0"


def _id(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].rstrip("-")
    return found if len(found) > 1 else "monai-bundle"
