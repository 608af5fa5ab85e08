"""MONAI bundles: the package's labels against those that MONAI itself gives, from the same bundle and the same file."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage
from medinfer.preparation.resample import respaced_as_monai
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid

torch = pytest.importorskip("torch")
nets = pytest.importorskip("monai.networks.nets")
nibabel = pytest.importorskip("nibabel")

Change = Callable[[dict[str, Any]], None]
UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2],
    "num_res_units": 1, "norm": "batch",
}
SEGRESNET = {
    "_target_": "monai.networks.nets.SegResNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
    "init_filters": 4, "blocks_down": [1, 1], "blocks_up": [1], "dropout_prob": 0.2,
    "norm": ["GROUP", {"num_groups": 2}],
}
SOFTMAX = [
    {"_target_": "Activationsd", "keys": "pred", "softmax": True},
    {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image_key",
     "meta_key_postfix": "meta_dict", "nearest_interp": False, "to_tensor": True},
    {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
]
SIGMOID = [
    {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}, SOFTMAX[1],
    {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.6},
]


def unet_config() -> dict[str, Any]:
    found = {
        "imports": ["$import glob"], "bundle_root": "/nowhere", "image_key": "image",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$list(sorted(glob.glob(@bundle_root + '/*.nii.gz')))",
        "network_def": UNET, "network": "$@network_def.to(@device)", "window": [20, 16, 12],
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": ["@image_key"], "pixdim": [1.41, 1.13, 2.03], "mode": ["bilinear"]},
            {"_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -57, "a_max": 164, "b_min": -1,
             "b_max": 1, "clip": True},
            {"_target_": "EnsureTyped", "keys": "@image_key"},
        ]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "$@window", "sw_batch_size": 3, "overlap": 0.625,
                    "mode": "gaussian"},
        "postprocessing": {"_target_": "Compose", "transforms": [
            *SOFTMAX, {"_target_": "SaveImaged", "keys": "pred", "_disabled_": True, "output_dir": "@bundle_root"},
        ]},
    }
    # Tests change it: nothing in it may be shared.
    return json.loads(json.dumps(found))


def segresnet_config() -> dict[str, Any]:
    found = unet_config()
    found["network_def"] = SEGRESNET
    found["preprocessing"]["transforms"] = [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "SPL"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": 1.5},
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
        {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1, "maxv": 1},
    ]
    # Wider than the scan along one axis, and MONAI's own overlap and weights.
    found["inferer"] = {"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [16, 36, 20]}
    found["postprocessing"]["transforms"] = SIGMOID
    return found


METADATA = {
    "version": "0.5.3", "name": "Drawn things", "authors": "A. Uthor", "description": "Finds drawn things.",
    "intended_use": "Tests.", "data_source": "Noise", "references": ["First paper.", "Second paper."],
    "license": "Apache-2.0", "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT"}},
        "outputs": {"pred": {"channel_def": {"0": "background", "1": "egg", "2": "ball"}}},
    },
}


@cache
def drawn_weights(description: str) -> Any:
    """Weights that are not trained, and answers of every kind: no channel is higher than the others in the mean."""
    described = json.loads(description)
    arguments = {key: value for key, value in described.items() if key != "_target_"}
    torch.manual_seed(3)
    made = getattr(nets, described["_target_"].rpartition(".")[2])(**arguments).eval()
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(20, 20, 20)), 1.2)
    example = torch.from_numpy(np.interp(noise, [noise.min(), noise.max()], [-1, 1]).astype(np.float32)[None, None])
    with torch.inference_mode():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
        values = made(example).flatten(2)[0]
        last = {name[-4:]: value for name, value in made.named_parameters() if value.shape[:1] == values.shape[:1]}
        last["ight"] *= 2 / values.std(dim=1).mean()
        last["bias"] -= made(example).flatten(2)[0].mean(dim=1)
    return made.state_dict()


def bundle(
    folder: Path, config: dict[str, Any], *, change: Change = lambda found: None, weights: Any = None,
    wrapped: bool = False, metadata: dict[str, Any] = METADATA,
) -> Path:
    kept = drawn_weights(json.dumps(config["network_def"])) if weights is None else weights
    change(config)
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save({"model": kept, "epoch": 3} if wrapped else kept, folder / "models" / "model.pt")
    return folder


def scan(path: Path, shape: tuple[int, int, int] = (34, 30, 22)) -> Path:
    """Smooth noise on an oblique, anisotropic grid; some of it is 0. shape: along x, y, z."""
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=shape), 1.3)
    voxels = np.where(noise > 0.06, 0, 60 + 900 * noise)
    turn = np.linalg.qr(np.eye(3) + 0.2 * np.random.default_rng(4).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([0.9, -1.3, 1.8]), (20, -30, 40)
    nibabel.save(nibabel.Nifti1Image(np.rint(voxels).astype(np.int16), matrix), path)
    return path


def at_home(home: Path, path: Path) -> np.ndarray:
    """The bundle run by MONAI: its own parser, transforms, inferer and inverse transforms. `[k, j, i]`."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(home / "configs" / "inference.json")
    network = parser.get_parsed_content("network_def").eval()
    kept = torch.load(home / "models" / "model.pt", weights_only=True)
    network.load_state_dict(kept.get("model", kept))
    data = parser.get_parsed_content("preprocessing")({"image": path})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
        data = parser.get_parsed_content("postprocessing")(data)
    (labels,) = data["pred"].numpy()
    return labels.T.astype(int)


def here(package: ModelPackage, path: Path) -> np.ndarray:
    volume = read_volume(path)
    with open_package(package, backend="auto", precision="float32") as session:
        return run(volume, package, session).label_map.whole(volume).voxels


def alike(found: np.ndarray, expected: np.ndarray, labels: int, parted: int) -> None:
    """Dice of each label at least 0.999, and no more than `parted` voxels differ."""
    assert set(range(labels + 1)) == set(np.unique(expected))
    for value in range(1, labels + 1):
        mine, theirs = found == value, expected == value
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) >= 0.999
    assert np.count_nonzero(found != expected) <= parted


def test_a_unet_with_softmax_gives_monais_labels(tmp_path: Path) -> None:
    home, path = bundle(tmp_path / "bundle", unet_config()), scan(tmp_path / "scan.nii.gz")
    alike(here(add(home), path), at_home(home, path), 2, 0)


def test_a_segresnet_with_a_sigmoid_gives_monais_labels(tmp_path: Path) -> None:
    home = bundle(tmp_path / "bundle", segresnet_config(), wrapped=True)
    path = scan(tmp_path / "scan.nii.gz")
    alike(here(add(home), path), at_home(home, path), 1, 20)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.8, 1.1, 0.9004)])
@pytest.mark.parametrize("kind", ["straight", "oblique", "oblique in float32"])
@pytest.mark.parametrize("seed", range(4))
def test_the_grid_of_a_new_spacing_is_monais(seed: int, kind: str, spacing: tuple[float, float, float]) -> None:
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    rng = np.random.default_rng(seed)
    turn = np.eye(3) if kind == "straight" else np.linalg.qr(np.eye(3) + 0.3 * rng.normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([0.9, 1.0, 1.0]), (20, -30, 40)
    if kind == "oblique in float32":
        matrix = matrix.astype(np.float32).astype(float)
    k, j, i = (int(n) for n in rng.integers(6, 14, 3))
    expected = Spacing(spacing[::-1])(MetaTensor(torch.zeros(1, i, j, k), affine=matrix))
    found = respaced_as_monai(Grid((k, j, i), matrix), spacing)
    assert found.shape == expected.shape[:0:-1]
    np.testing.assert_allclose(found.ijk_to_ras, expected.affine.numpy(), atol=1e-6)


def changed(place: str, value: Any) -> Change:
    """Replace what stands at a::b::0."""

    def change(found: dict[str, Any]) -> None:
        *way, last = place.split("::")
        for key in way:
            found = found[int(key) if key.isdigit() else key]
        found[int(last) if last.isdigit() else last] = value

    return change


POST, TRANSFORMS = "postprocessing::transforms", "preprocessing::transforms"
NEAREST = {**SOFTMAX[1], "nearest_interp": True}


@pytest.mark.parametrize(
    ("steps", "decide"), [([SOFTMAX[0], SOFTMAX[2], NEAREST], "nearest"), ([SOFTMAX[1], SOFTMAX[2]], "logits")]
)
def test_what_is_inverted_decides_here_too(tmp_path: Path, steps: list[Any], decide: str) -> None:
    home = bundle(tmp_path / "bundle", unet_config(), change=changed(POST, steps))
    # No voxel lies right between two others, where noise decides in MONAI which is the nearest.
    path = scan(tmp_path / "scan.nii.gz", (21, 17, 13))
    package = add(home)
    assert package.manifest.passes[0].decoder.decide == decide
    alike(here(package, path), at_home(home, path), 2, 0)


def test_the_largest_component_of_each_label_is_kept(tmp_path: Path) -> None:
    """MONAI needs scikit-image for that, so it is done here to what MONAI gives."""
    largest = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]}
    path = scan(tmp_path / "scan.nii.gz")
    home = bundle(tmp_path / "bundle", unet_config())
    expected = at_home(home, path)
    for value in (1, 2):
        parts, _ = ndimage.label(expected == value, np.ones((3, 3, 3)))
        expected[(parts > 0) & (parts != np.bincount(parts.ravel())[1:].argmax() + 1)] = 0
    (home / "configs" / "inference.json").write_text(json.dumps(
        {**unet_config(), "postprocessing": {"_target_": "Compose", "transforms": [*SOFTMAX, largest]}}
    ))
    alike(here(add(home), path), expected, 2, 0)


def test_the_networks_torchscript_serves_where_its_class_is_unknown(tmp_path: Path, own_library: Path) -> None:
    class Own(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([0.2 - image, image, image * image], dim=1)

    home = bundle(tmp_path / "bundle", unet_config(), weights={}, change=changed("network_def::_target_", "Own"))
    (home / "models" / "model.pt").unlink()
    torch.jit.script(Own()).save(str(home / "models" / "model.ts"))
    package = add(home)
    assert package.manifest.passes[0].network.files[0].format == "torchscript"
    assert package.manifest.passes[0].network.channels == 3
    path = scan(tmp_path / "scan.nii.gz", (20, 16, 12))
    assert {1, 2} & set(np.unique(here(package, path)))


def test_what_the_metadata_say_stands_in_the_package_of_a_zip(tmp_path: Path) -> None:
    home = bundle(tmp_path / "drawn", unet_config())
    with zipfile.ZipFile(tmp_path / "drawn.zip", "w") as packed:
        for path in home.rglob("*"):
            packed.write(path, path.relative_to(tmp_path))
    manifest = add(tmp_path / "drawn.zip").manifest
    assert (manifest.id, manifest.version, manifest.title) == ("drawn-things", "0.5.3", "Drawn things")
    assert [(label.value, label.name) for label in manifest.labels] == [(1, "egg"), (2, "ball")]
    card = manifest.card
    assert (card.authors, card.licence, card.citation) == ("A. Uthor", "Apache-2.0", "First paper.; Second paper.")
    one = manifest.passes[0]
    assert (one.prepare.spacing, one.tiling.patch, one.prepare.modality) == ((2.03, 1.13, 1.41), (12, 16, 20), ("CT",))
    assert (one.prepare.orientation, one.prepare.axes) == ("RAS", "xyz")


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
        ("network_def::in_channels", 4, "takes 4 channels: only networks of one image are supported"),
        ("network_def::channels", [4], "cannot be built with its arguments"),
        ("network_def::channels", [4, 12], r"models/model\.pt does not fit the network of its configuration"),
        (f"{TRANSFORMS}::3", {"_target_": "RandFlipd", "keys": "image"}, "RandFlipd .* is not known here"),
        (f"{TRANSFORMS}::3", {"_target_": "CropForegroundd", "keys": "image"}, "transforms before it made positive"),
        (f"{TRANSFORMS}::3::mode", "nearest", "has mode = nearest, and only bilinear is known here"),
        (f"{TRANSFORMS}::3::pixdim", ["a"], "has pixdim = a, which is no number"),
        (f"{TRANSFORMS}::2::axcodes", "RAT", "which names no three axes"),
        (f"{TRANSFORMS}::4::gamma", 2, "has the argument gamma, which is not known here"),
        ("inferer", {"_target_": "SimpleInferer"}, "gives the network the whole scan at once, which is not supported"),
        ("inferer::roi_size", [96, 96], "has a roi_size of 2 sides"),
        ("inferer::roi_size", [96, 96, -1], "each side must be a number of voxels"),
        ("window", "@window", "lead round in a circle"),
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
    (home / "configs" / "inference.json").unlink()
    with pytest.raises(PackageError, match=r"no configs/inference\.json: it does not say how scans are prepared"):
        add(home)
    assert not list(own_library.iterdir())


@pytest.mark.real
def test_a_network_that_draws_pictures_is_refused_by_its_name(test_data: Path) -> None:
    with pytest.raises(PackageError, match=r"Generator in \S+ \(network_def\) is a network that is not known"):
        add(test_data / "networks" / "mednist_gan_bundle")
