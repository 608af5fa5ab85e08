"""A package of several stages that contradicts itself is refused with the field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medinfer.errors import PackageError
from medinfer.library.package import load_package

Make = Callable[..., Path]


def put(value: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        target: Any = manifest
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


def main_segments(manifest: dict[str, Any]) -> None:
    manifest["decoder"] = {"kind": "segments"}
    manifest["network"]["channels"] = 14


def heatmap_of_patches(manifest: dict[str, Any]) -> None:
    """Patches around points that have no name, for landmarks that have one."""
    del manifest["naming"], manifest["besides"]
    manifest["task"] = "landmark"
    manifest["tiling"] = {"join": "patches", "patch": [8, 8, 8]}
    manifest["decoder"] = {"kind": "heatmap"}
    manifest["network"]["channels"] = 13


def chain_of_many_peaks(manifest: dict[str, Any]) -> None:
    heatmap_of_patches(manifest)
    manifest["coarse"]["network"]["channels"] = 13
    manifest["decoder"]["chain"] = {"spacing_mm": [2, 20]}


def detector(manifest: dict[str, Any]) -> None:
    del manifest["naming"]
    manifest["task"] = "detect"
    manifest["decoder"] = {"kind": "labels"}
    manifest["network"]["channels"] = 53


def no_coarse(manifest: dict[str, Any]) -> None:
    del manifest["coarse"]


def no_coarse_beside(manifest: dict[str, Any]) -> None:
    del manifest["coarse"], manifest["prepare"]["region"]
    manifest["besides"][0]["prepare"]["region"] = {"kind": "points"}


def two_beside(*, value: int, name: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        manifest["besides"].append({**manifest["besides"][0], "labels": [{"value": value, "name": name}]})

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put({"kind": "labels"}, "besides", 0, "decoder"), "besides needs decoder.kind = segments"),
        (put(3, "besides", 0, "network", "channels"), "besides.0.network.channels is 3, but 1 labels need 2, the"),
        (put([], "besides", 0, "labels"), "besides.0.labels"),
        (put({"kind": "segments", "treshold": 1}, "besides", 0, "decoder"), "besides.0.decoder.treshold is unknown"),
        (put(13, "besides", 0, "labels", 0, "value"), "labels must have distinct values and names"),
        (put("13", "besides", 0, "labels", 0, "name"), "labels must have distinct values and names"),
        (two_beside(value=101, name="Sinus"), "labels must have distinct values and names"),
        (two_beside(value=102, name="Mandibular canal"), "labels must have distinct values and names"),
        (put(192, "besides", 0, "labels", 0, "value"), r"decoder\.max_findings together must stay below 256"),
        (put(200, "decoder", "max_findings"), "decoder.max_findings"),
        (put(5, "network", "channels"), "needs network.channels = 4"),
        (put("detect", "task"), "task detect needs decoder.kind anchors or labels"),
        (detector, "besides needs task segment"),
        (main_segments, "naming needs decoder.kind classes and a stage of decoder.kind instances"),
        (put({"kind": "heatmap"}, "naming", "decoder"), "naming needs decoder.kind classes"),
        (put(12, "naming", "network", "channels"), r"naming\.network.channels is 12, but must be 13, one per label"),
        (put({"join": "crop", "patch": [8, 8, 8], "margin": [1, 1, 1]}, "naming", "tiling"), "point input needs"),
        (put(["19"], "naming", "decoder", "arches", 0, "places", 0),
         "naming.decoder.arches has '19', which is not one of the labels"),
        (put(["12"], "naming", "decoder", "arches", 1, "places", 0), "naming.decoder.arches has '12' in two places"),
        (no_coarse, "prepare.region = points need a coarse stage"),
        (no_coarse_beside, "besides with prepare.region = points needs a coarse stage"),
        (put({"kind": "segments"}, "coarse", "decoder"), "coarse must have a heatmap decoder"),
        (put(2, "coarse", "network", "channels"), r"coarse\.network.channels is 2, but must be 13, one per label"),
        (heatmap_of_patches, "needs one channel per label of coarse"),
        (chain_of_many_peaks, "coarse.decoder.peaks must be 1"),
        (put([], "network", "output"), "network.output"),
        (put({"op": "percentiles", "low": 60, "high": 40}, "prepare", "intensity", 0), "low must be below high"),
    ],
)
def test_a_contradiction_is_refused_with_the_field(peas_package: Make, change: Any, words: str) -> None:
    with pytest.raises(PackageError, match=words) as refused:
        load_package(peas_package(change))
    assert "model.json" in str(refused.value)


def test_the_sound_package_has_its_stages_in_the_order_in_which_they_run(peas_package: Make) -> None:
    manifest = load_package(peas_package()).manifest
    assert [one.name for one in manifest.passes] == ["coarse", "main", "naming", "besides 1"]
    assert [label.name for label in manifest.labels][-2:] == ["52", "Mandibular canal"]


def test_the_labels_may_fill_a_label_map_to_its_end(peas_package: Make) -> None:
    assert load_package(peas_package(put(191, "besides", 0, "labels", 0, "value"))).manifest.leading.name == "main"
