"""MONAI bundles that cannot become packages: what is said of them, and that nothing in them is run."""

from __future__ import annotations

import pickle
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from drawn_bundles import POST, SIGMOID, SOFTMAX, TRANSFORMS, bundle, changed, unet_config

from medinfer.errors import PackageError
from medinfer.importers.adding import add

pytest.importorskip("torch")
pytest.importorskip("monai.networks.nets")


class Runs:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (f"{TRANSFORMS}::3", {"_target_": "os.system", "command": "touch trap"},
         r"prepares scans with os\.system \(preprocessing::transforms::3\), which is not known here"),
        (f"{TRANSFORMS}::3::pixdim", "$__import__('os').system('touch trap')",
         r"computes preprocessing::\S+::pixdim with Python \(\$__import__\('os'\)\.system\('touch trap'\)\)"),
        (f"{TRANSFORMS}::3::pixdim", {"_target_": "os.system"}, r"builds \S+ with os\.system, which is not known"),
        ("network_def::_target_", "os.system", r"os\.system in \S+ \(network_def\) is a network that is not known"),
        ("network_def::_target_", "Generator", "Generator in .* is a network that is not known here"),
        ("network_def::spatial_dims", 2, "only networks of volumes"),
        ("network_def::in_channels", "four", "has in_channels = four: only 1 to 32 are known here"),
        ("network_def::channels", [4], "cannot be built with its arguments"),
        ("network_def::channels", [4, 12], r"models/model\.pt does not fit the network of its configuration"),
        (f"{TRANSFORMS}::3", {"_target_": "RandFlipd", "keys": "image"}, "RandFlipd .* is not known here"),
        (f"{TRANSFORMS}::5", {"_target_": "CropForegroundd", "keys": "image", "select_fn": "$lambda x: x > 1"},
         "has a select_fn, which is not known here"),
        (f"{TRANSFORMS}::2", {"_target_": "CropForegroundd", "keys": "image"}, "comes after CropForegroundd, which is"),
        (f"{TRANSFORMS}::3::mode", "nearest", "has mode = nearest, and only bilinear is known here"),
        (f"{TRANSFORMS}::3::pixdim", ["a"], "has pixdim = a, which is no number"),
        (f"{TRANSFORMS}::2::axcodes", "RAT", "which names no three axes"),
        (f"{TRANSFORMS}::2", {"_target_": "NormalizeIntensityd", "keys": "image"},
         "and others before it, which is not"),
        (f"{TRANSFORMS}::4::gamma", 2, "has the argument gamma, which is not known here"),
        ("inferer", {"_target_": "SimpleInferer"}, "gives the network the whole scan at once, which is not supported"),
        ("inferer::roi_size", [96, 96], "has a roi_size of 2 sides"),
        ("inferer::roi_size", [96, 96, -1], "each side must be a number of voxels"),
        ("window", "@window", "lead round in a circle"),
        ("inferer", "@inferer::a", "lead round in a circle"),
        ("inferer::roi_size", ["@inferer::roi_size"], "than a configuration needs|lead round in a circle"),
        ("window", [["@inferer::overlap"] * 400] * 400, "more values at .* than a configuration needs"),
        ("window", "%other.json::a", r"no configs/other\.json"),
        ("window", "%../other.json::a", "which is not there"),
        ("inferer", "@nowhere", "refers at inferer to @nowhere, which is not in it"),
        (POST, SOFTMAX[:2], "decides no labels"),
        (POST, [{"_target_": "VoteEnsembled", "keys": "pred"}], "VoteEnsembled .* is not known here"),
        (POST, [SOFTMAX[0], SOFTMAX[2], SOFTMAX[1]], "interpolates labels between their numbers"),
        (POST, [SIGMOID[0], SOFTMAX[1], SOFTMAX[2]], "interpolates sigmoids and takes the highest"),
        (POST, [SIGMOID[2]], "with a threshold that no sigmoid made probabilities"),
    ],
)
def test_what_cannot_be_repeated_is_named_in_one_sentence(
    tmp_path: Path, own_library: Path, monkeypatch: pytest.MonkeyPatch, place: str, value: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    home = bundle(tmp_path / "bundle", unet_config(), change=changed(place, value))
    with pytest.raises(PackageError, match=words) as told:
        add(home)
    assert "\n" not in str(told.value)
    assert not list(own_library.iterdir())
    assert not (tmp_path / "trap").exists()


def test_weights_with_code_in_them_are_never_run(tmp_path: Path, own_library: Path) -> None:
    trap = tmp_path / "trapped"
    home = bundle(tmp_path / "bundle", unet_config(), weights={"weight": Runs(trap)})
    with pytest.raises(PackageError, match=r"models/model\.pt cannot be opened safely"):
        add(home)
    (home / "models" / "model.pt").write_bytes(pickle.dumps(Runs(trap)))
    with pytest.raises(PackageError, match=r"models/model\.pt cannot be opened safely"):
        add(home)
    assert not trap.exists()
    assert not list(own_library.iterdir())


@pytest.mark.parametrize("lacking", ["onnx", "monai.networks"])
def test_what_converting_needs_is_said_before(
    tmp_path: Path, own_library: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.setitem(sys.modules, lacking, None)
    home = bundle(tmp_path / "bundle", unet_config())
    with pytest.raises(PackageError, match=r"needs torch, onnx and monai: pip install 'medinfer\[monai\]'"):
        add(home)
    assert not list(own_library.iterdir())


def test_a_bundle_that_is_not_whole_says_what_is_missing(tmp_path: Path, own_library: Path) -> None:
    home = bundle(tmp_path / "bundle", unet_config(), weights={})
    with pytest.raises(PackageError, match=r"models/model\.pt holds no weights"):
        add(home)
    (home / "models" / "model.pt").unlink()
    (home / "models").rmdir()
    with pytest.raises(PackageError, match=r"neither models/model\.pt nor models/model\.ts: download its weights"):
        add(home)
    (home / "configs" / "inference.json").write_text("[" * 100_000)
    with pytest.raises(PackageError, match=r"configs/inference\.json cannot be read"):
        add(home)
    (home / "configs" / "inference.json").rename(home / "configs" / "inference.yaml")
    with pytest.raises(PackageError, match="cannot be read" if find_spec("yaml") else r"needs PyYAML: pip install"):
        add(home)
    (home / "configs" / "inference.yaml").unlink()
    with pytest.raises(PackageError, match=r"no configs/inference\.json: it does not say how scans are prepared"):
        add(home)
    assert not list(own_library.iterdir())


@pytest.mark.real
def test_a_network_that_draws_pictures_is_refused_by_its_name(test_data: Path) -> None:
    with pytest.raises(PackageError, match=r"Generator in \S+ \(network_def\) is a network that is not known"):
        add(test_data / "networks" / "mednist_gan_bundle")
