"""A network without a `model.json` as a package: what it tells about itself, and what its user said."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backends.choose import whole_content
from ..errors import PackageError
from ..library.package import sha256_of, write_manifest
from ..manifest import SCHEMA_VERSION
from ..manifest.network import is_package_path
from .bare_fields import IGNORED, read_field
from .bare_network import BareNetwork, Facts, read_network
from .image_names import image_names
from .questions import Given, answered

# The labels' colours, over and over: as far apart as so few can be (Okabe and Ito, 2008, without black).
_COLORS = (
    (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26), (0.00, 0.45, 0.70),
    (0.84, 0.37, 0.00), (0.80, 0.47, 0.65),
)


def import_bare(path: Path, format: str, folder: Path, given: Given) -> Path:
    """Write a package for the network in `path` (format: "onnx" or "torchscript") into `folder`, which is made.

    What the network tells, and what was assumed of it, is said through `given.say`. Raises PackageError for a network
    that MedInfer cannot run and for words that are missing, wrong or do not fit it; DeviceError, OutputError.
    """
    network = read_network(path, format)
    given.say(told_by(network))
    words = answered(network, given)
    told = {name: read_field(name, said) for name, said in words.items()}
    if found := misfit(network, told):
        raise PackageError(found.sentence)
    folder.mkdir()
    description = _description(network, told, _copied(network, folder))
    write_manifest(folder, description)
    return folder


def told_by(network: BareNetwork) -> str:
    low, high = network.seen
    size = "×".join("any" if size is None else str(size) for size in network.declared[2:])
    kind = "tiles" if network.dimensions == 3 else "slices"
    seen = f" with {network.images} channels" if network.images > 1 else ""
    others = [name for name in network.outputs if name != network.output]
    beside = f" (besides {', '.join(others)})" if others else ""
    return (
        f"{network.path.name}: {kind} of {size}{seen}; output “{network.output}”{beside} of {network.channels} "
        f"channel{'s' if network.channels > 1 else ''}; a trial on zeros and noise gave {low:.3g} to {high:.3g}"
        + (f", so activation {network.activation}" if network.activation else "")
    )


def _copied(network: BareNetwork, folder: Path) -> dict[str, Any]:
    """Copy the network into the package; returns its entry in `network.files`."""
    file, name = network.file, network.path.name
    names = [beside for beside, _ in file.data]
    if not all(map(is_package_path, (name, *names))) or name == "model.json":
        # Packages have plainer names than these, but the graph spells those of its weights: joined, it needs none.
        name, names = f"network{'.onnx' if file.format == 'onnx' else '.pt'}", []
        (folder / name).write_bytes(whole_content(file))
    else:
        shutil.copyfile(network.path, folder / name)
        for beside, path in file.data:
            (folder / beside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / beside)
    data = {"data": [{"path": beside, "sha256": sha256_of(folder / beside)} for beside in names]} if names else {}
    return {"path": name, "format": file.format, "sha256": sha256_of(folder / name), **data}


@dataclass(frozen=True)
class Misfit:
    """Words that contradict the network. field: whose words; sentence: why."""

    field: str
    sentence: str


def misfit(network: Facts, told: Mapping[str, Any]) -> Misfit | None:
    """What contradicts the network. told: what all words mean, by their fields."""
    return next(_misfits(network, told), None)


def _misfits(network: Facts, told: Mapping[str, Any]) -> Iterator[Misfit]:
    k, j, i = network.patch(told["axes"])
    fixed = network.fixed(told["axes"])
    if any(size not in (None, asked) for size, asked in zip(fixed, _patch(network, told), strict=True)):
        yield Misfit("patch", f"{network.path} takes tiles of {i}×{j}×{k} (x, y, z) alone; leave out --patch.")
    images: Sequence[str] | None = told["images"]
    if images is not None and len(images) != network.images:
        taken = f"{network.path} takes {network.images} channel{'s' if network.images > 1 else ''}"
        yield Misfit("images", f"{taken}, but --images names {len(images)}; name each once, in their order.")
    if told["shape"] is not None and told["spacing"] is not None:
        yield Misfit("shape", "--shape fixes how many voxels a scan becomes, whatever their size; leave out --spacing.")
    edges = told["shape"] is not None or told["like"] == "nnunet"
    if not edges and told["sampling"] != "linear":
        way = f"--sampling {told['sampling']}"
        yield Misfit("sampling", f"{way} needs --shape or --like nnunet; add one of them, or leave it out.")
    if told["clean"] and told["task"] != "segment":
        yield Misfit("clean", "--clean is for networks that give objects (--task segment); leave it out.")
    channels, values = network.channels, sorted(told["labels"])
    labels = f"--labels names {len(values)}"
    if _each_has_a_label(network, told):
        if values != list(range(1, channels + 1)):
            each = f"{network.path} gives a channel per label ({channels}), but {labels}; name each once."
            yield Misfit("labels", each)
    elif values[-1] > channels - 1:
        yield Misfit(
            "labels",
            f"{network.path} gives {channels} channels, the first of which is the background, but {labels}, up to the "
            f"number {values[-1]}; name {channels - 1}, or give --activation sigmoid if there is no background.",
        )
    elif told["task"] == "segment" and len(values) < channels - 1:
        missing = ", ".join(str(n) for n in range(1, channels) if n not in values)
        yield Misfit(
            "labels",
            f"{network.path} gives {channels} channels, the first of which is the background, but {labels}; name "
            f"channel {missing} too.",
        )
    if channels == 1 and told["activation"] == "softmax" and told["task"] != "landmark":
        one = f"{network.path} gives one channel, for which --activation must be none or sigmoid."
        yield Misfit("activation", one)


def _patch(network: Facts, told: Mapping[str, Any]) -> list[int]:
    """Along k, j, i; one voxel across slices, whatever one number for all axes says."""
    patch = list(told["patch"])
    if network.dimensions == 2:
        patch["zyx".index(told["axes"][0])] = 1
    return patch


def _stride(network: BareNetwork, told: Mapping[str, Any]) -> dict[str, Any]:
    if network.stride == 1:
        return {}
    if network.dimensions == 3:
        return {"stride": network.stride}
    return {"stride": [1 if axis == told["axes"][0] else network.stride for axis in "zyx"]}


def _each_has_a_label(network: Facts, told: Mapping[str, Any]) -> bool:
    """Whether no channel is the background's."""
    return bool(network.channels == 1 or told["task"] == "landmark" or told["activation"] == "sigmoid")


# Where each library decides labels: on the scan's own voxels, from what.
_DECIDING: Mapping[str, Mapping[str, str]] = {
    "none": {}, "monai": {"decide": "probabilities"}, "nnunet": {"decide": "logits"},
}


def _segments(told: Mapping[str, Any]) -> dict[str, Any]:
    deciding = {"decide": "nearest"} if told["sampling"] == "nearest" else _DECIDING[told["like"]]
    return {
        "kind": "segments", "activation": told["activation"], **deciding,
        "largest_component": "largest" in told["clean"], "fill_holes": "holes" in told["clean"],
    }


def _heatmap(told: Mapping[str, Any]) -> dict[str, Any]:
    # A softmax over all voxels makes a map whose mean is the place.
    position = {"position": "expectation"} if told["activation"] == "softmax" else {}
    return {"kind": "heatmap", "activation": told["activation"], **position}


def _boxes(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "labels", "activation": told["activation"]}


# Of each task: its decoder, and what the result gives.
_TASKS: Mapping[str, tuple[Callable[[Mapping[str, Any]], dict[str, Any]], str]] = {
    "segment": (_segments, "objects"), "landmark": (_heatmap, "points"), "detect": (_boxes, "boxes"),
}


# How each library samples a scan at the network's spacing.
_SAMPLING: Mapping[str, Mapping[str, Any]] = {
    "none": {}, "monai": {"resampling": {"align": "monai"}},
    "nnunet": {
        "resampling": {"thick": "nearest"}, "region": {"kind": "nonzero"}, "intensity_on": "scan",
    },
}


def _sampling(told: Mapping[str, Any]) -> dict[str, Any]:
    """How a scan becomes the network's voxels."""
    ways = dict(_SAMPLING[told["like"]])
    if told["shape"] is not None or told["like"] == "nnunet":
        ways["resampling"] = {**ways.get("resampling", {}), "align": "edges", "interpolation": told["sampling"]}
    return ways


def _description(network: BareNetwork, told: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of `model.json`."""
    decoder, kind = _TASKS[told["task"]]
    labels: Mapping[int, str] = told["labels"]
    reported = [name for name in labels.values() if name != IGNORED]
    names = image_names(told["images"] or ())
    return {
        "schema_version": SCHEMA_VERSION, "id": told["id"], "version": "1.0.0", "title": told["title"],
        "task": told["task"], "card": _card(network, told), "labels": _labels(labels),
        "images": [
            {"name": name, "title": title} for name, title in zip(names, told["images"] or (), strict=True)
        ],
        "passes": [{
            "name": "network",
            "prepare": {
                "modality": told["modality"], "orientation": told["orientation"], "axes": told["axes"],
                "spacing": told["spacing"], "shape": told["shape"], "intensity": told["intensity"],
                **_sampling(told),
            },
            "network": {
                "files": [file], "inputs": _inputs(network, names), "output": network.output,
                "channels": network.channels, "layout": network.layout, "mirror": told["mirror"],
                "dimensions": network.dimensions,
            },
            # Zeros around a scan that is smaller than a tile: as MONAI and nnU-Net pad.
            "tiling": {
                "join": "blend", "patch": _patch(network, told), "overlap": told["overlap"], "weights": told["weights"],
                "spread": told["spread"], "pad": 0.0, **_stride(network, told),
            },
            "decoder": decoder(told),
        }],
        "result": [{"of": "network", "as": kind, "labels": reported if len(reported) < len(labels) else []}],
    }


def _inputs(network: BareNetwork, images: Sequence[str]) -> list[dict[str, Any]]:
    """One for each channel: an image each, or the scan itself on all of them."""
    one = {"role": "image", "name": network.input}
    return [{**one, "image": name} for name in images] if images else [one] * network.images


def _labels(names: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {"value": value, "name": name if name != IGNORED else f"ignored {value}", "color": _COLORS[n % len(_COLORS)]}
        for n, (value, name) in enumerate(sorted(names.items()))
    ]


def _card(network: BareNetwork, told: Mapping[str, Any]) -> dict[str, str]:
    names: Sequence[str] = [name for name in told["labels"].values() if name != IGNORED]
    finds = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return {
        "summary": f"Finds {finds} in {' or '.join(told['modality'])}; made from {network.path.name}.",
        "intended_use": "Unknown: its authors have to say.",
        "limits": "Not for clinical use. Nothing was measured with this package.",
        "training_data": "Unknown.", "licence": told["licence"], "authors": "Unknown",
    }
