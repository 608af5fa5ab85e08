"""A network of labels for MedLandmark or MedDetect: the labels' centres as points, or a box around each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from ..errors import PackageError
from ..library.package import load_package, write_manifest
from ..manifest import Manifest

Gives = Literal["points", "boxes"]

_TASKS: Mapping[Gives, str] = {"points": "landmark", "boxes": "detect"}
# What others put before the names of landmarks (TotalSegmentator: vertebrae_L5).
_PREFIXES = ("vertebrae_", "vertebra_")
# Of a decoder of segments, what decides a voxel's label; the rest is about objects.
_DECIDING = ("activation", "threshold", "order")


def give_as(folder: Path, gives: Gives, only: Sequence[str] = ()) -> None:
    """Change the package in `folder` so that its result is points or boxes in place of objects.

    points: the centroid of the largest component of each label. boxes: one around each connected component.
    only: labels, perhaps with * and ?; empty: all. The id gets “-points” or “-boxes” behind it, so that
    both may be installed.
    Raises PackageError for a package that gives no objects, and for labels that it does not have.
    """
    manifest = load_package(folder).manifest
    if manifest.task != "segment":
        raise PackageError(
            f"{manifest.id} gives {manifest.result[0].kind} already; --gives is for networks of labels: leave it out."
        )
    labels = _chosen(manifest, only)
    data = manifest.data()
    data.update(task=_TASKS[gives], id=f"{manifest.id[:57]}-{gives}", title=f"{manifest.title}: {gives}")
    own = {entry.of for entry in manifest.result}
    used = {one.looks_at for one in manifest.passes}
    for one in data["passes"]:
        if one["name"] in own and one["decoder"]["kind"] == "segments":
            one["decoder"] = _decoder(one["decoder"], gives, alone=one["name"] not in used)
    data["result"] = [
        {**entry, "as": gives, **({"labels": labels} if only else {})} for entry in data["result"]
    ]
    write_manifest(folder, _renamed(data, labels) if gives == "points" else data)


def _chosen(manifest: Manifest, only: Sequence[str]) -> list[str]:
    """The labels' names, in the model's order. Raises PackageError."""
    names = [label.name for label in manifest.labels]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            raise PackageError(f"{manifest.id} has no label {pattern!r} for --only; it has {listed}.")
    return [name for name in names if not only or any(fnmatchcase(name, pattern) for pattern in only)]


def _decoder(decoder: Mapping[str, Any], gives: Gives, *, alone: bool) -> dict[str, Any]:
    """alone: no other pass needs its objects."""
    if gives == "points":
        return {**decoder, "largest_component": True}
    if not alone:
        return dict(decoder)
    return {"kind": "labels", **{key: decoder[key] for key in _DECIDING if key in decoder}}


def _renamed(data: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """The names of the landmarks without what others put before those of a kind."""
    prefix = next((word for word in _PREFIXES if any(name.startswith(word) for name in labels)), "")
    called = [name for name in labels if prefix and name.startswith(prefix) and name != prefix]
    names = {name: name.removeprefix(prefix) for name in called}
    if set(names.values()) & {label["name"] for label in data["labels"]}:
        return data

    def renamed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: renamed(entry, name) for name, entry in value.items()}
        if isinstance(value, list):
            return [renamed(entry, key) for entry in value]
        return names.get(value, value) if key in ("labels", "order", "name") and isinstance(value, str) else value

    return {key: renamed(value, key) if key in ("labels", "passes", "result") else value for key, value in data.items()}
