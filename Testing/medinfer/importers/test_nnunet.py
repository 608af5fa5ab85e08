"""Result folders of nnU-Net v2: the package's labels against nnU-Net's steps, one by one, in plain numpy and torch.

`Testing/benchmarks/nnunet.py` compares with nnU-Net itself.
"""

from __future__ import annotations

import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit

from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import load_package
from medinfer.preparation.images import with_further
from medinfer.volume import Grid, Volume

torch = pytest.importorskip("torch")
unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")

SPACING = (1.5, 1.25, 1.0)
UNETS = "dynamic_network_architectures.architectures.unet."
FINGERPRINT = {"mean": 80.0, "std": 60.0, "percentile_00_5": -40.0, "percentile_99_5": 300.0}
RESAMPLING = {"is_seg": False, "order_z": 0, "force_separate_z": None}
Change = Callable[[dict[str, Any]], None]


def architecture(flat: bool, residual: bool) -> dict[str, Any]:
    kind, sides = ("2d", 2) if flat else ("3d", 3)
    return {
        "network_class_name": UNETS + ("ResidualEncoderUNet" if residual else "PlainConvUNet"),
        "arch_kwargs": {
            "n_stages": 2, "features_per_stage": [4, 8], "conv_op": f"torch.nn.modules.conv.Conv{kind}",
            "kernel_sizes": [[3] * sides] * 2, "strides": [[1] * sides, [2] * sides],
            "n_blocks_per_stage" if residual else "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1],
            "conv_bias": True, "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{kind}",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def plans(configuration: str, residual: bool, transpose: list[int]) -> dict[str, Any]:
    flat = configuration == "2d"
    spacing, patch = [SPACING[axis] for axis in transpose], [[24, 28, 32][axis] for axis in transpose]
    return {
        "dataset_name": "Dataset901_Drawn", "plans_name": "nnUNetPlans", "transpose_forward": transpose,
        "configurations": {configuration: {
            "patch_size": patch[flat:], "spacing": spacing[flat:], "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [False], "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {**RESAMPLING, "order": 3},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {**RESAMPLING, "order": 1},
            "architecture": architecture(flat, residual),
        }},
        "foreground_intensity_properties_per_channel": {"0": FINGERPRINT},
    }


CHANNELS = {"0": "CT", "1": "T1 weighted"}
LABELS = {"background": 0, "egg": 1, "ball": 2}
REGIONS = {"labels": {"background": 0, "whole": [1, 2], "ball": [2]}, "regions_class_order": [1, 2]}


def network(found: dict[str, Any], channels: int, seed: int, images: int = 1) -> Any:
    """As in the plans, with weights that are not trained and answers of every kind."""
    (configuration,) = found["configurations"].values()
    described = configuration["architecture"]
    arguments = {
        key: getattr(torch.nn, value.rpartition(".")[2]) if key in described["_kw_requires_import"] and value else value
        for key, value in described["arch_kwargs"].items()
    }
    torch.manual_seed(seed)
    made = getattr(unet, described["network_class_name"].rpartition(".")[2])(
        input_channels=images, num_classes=channels, deep_supervision=True, **arguments
    )
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    # Every label is somewhere the likeliest: no channel is higher than the others in the mean.
    made.decoder.deep_supervision = False
    sides = [32] * (2 if "2d" in found["configurations"] else 3)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(1, images, *sides)), 1.2) * 5
    with torch.inference_mode():
        means = made.eval()(torch.from_numpy(noise.astype(np.float32))).mean(dim=[0, *range(2, 2 + len(sides))])
        made.decoder.seg_layers[-1].bias -= means
    made.decoder.deep_supervision = True
    return made


def result_folder(
    folder: Path, *, configuration: str = "3d_fullres", residual: bool = False, transpose: tuple[int, ...] = (0, 1, 2),
    regions: bool = False, folds: int = 1, images: int = 1, fed: int = 0, mirrored: tuple[int, ...] | None = None,
    change: Change = lambda found: None, checkpoint: Change = lambda found: None,
) -> Path:
    home = folder / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    found = plans(configuration, residual, list(transpose))
    networks = [network(found, 2 if regions else 3, seed, images + fed) for seed in range(folds)]
    change(found)
    home.mkdir(parents=True)
    (home / "plans.json").write_text(json.dumps(found))
    described = REGIONS if regions else {"labels": LABELS}
    names = dict(list(CHANNELS.items())[:images])
    (home / "dataset.json").write_text(json.dumps({"channel_names": names, **described}))
    for fold, one in enumerate(networks):
        (home / f"fold_{fold}").mkdir()
        kept = {
            "network_weights": one.state_dict(), "_best_ema": np.float64(0.5), "logging": {"losses": [np.float32(1)]},
            "init_args": {"configuration": configuration, "fold": fold}, "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": mirrored,
        }
        checkpoint(kept)
        torch.save(kept, home / f"fold_{fold}" / "checkpoint_final.pth")
    return home


def scan(seed: int = 0) -> Volume:
    """Smooth noise on an oblique grid, within 0 all round; after resampling it fits into one patch."""
    voxels = np.zeros((22, 30, 34), np.float32)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(18, 27, 30)), 1.2)
    voxels[2:20, 1:28, 3:33] = 80 + 900 * noise
    matrix = np.eye(4)
    turn = np.linalg.qr(np.eye(3) + 0.2 * np.random.default_rng(4).normal(size=(3, 3)))[0]
    matrix[:3, :3], matrix[:3, 3] = turn * [0.9, 1.1, 1.8], (20, -30, 40)
    return Volume(np.rint(voxels).astype(np.int16), Grid(voxels.shape, matrix), "drawn")


def zoomed(values: np.ndarray, shape: Any, order: int) -> np.ndarray:
    if values.shape == tuple(shape):
        return values
    factors = np.array(shape) / values.shape
    found = ndimage.zoom(values.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(found, values.min(), values.max())


def at_home(home: Path, volume: Volume, flat: bool, regions: bool, transpose: tuple[int, ...]) -> np.ndarray:
    """nnU-Net's steps for a scan that fits into one patch, without mirroring."""
    found = json.loads((home / "plans.json").read_text())
    (configuration,) = found["configurations"].values()
    data = volume.voxels.astype(np.float32).transpose(transpose)
    spacing = [volume.spacing[axis] for axis in transpose]
    where = np.argwhere(data != 0)
    box = tuple(slice(a, b + 1) for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True))
    block = np.clip(data[box], -40, 300)
    block = (block - 80) / 60
    wanted = [spacing[0], *configuration["spacing"]] if flat else configuration["spacing"]
    shape = [round(n * old / new) for n, old, new in zip(block.shape, spacing, wanted, strict=True)]
    prepared = zoomed(block, shape, 3).astype(np.float32)
    patch = [1, *configuration["patch_size"]] if flat else configuration["patch_size"]
    before = [max(0, (p - n) // 2) for p, n in zip(patch, shape, strict=True)]
    after = [max(0, p - n - b) for p, n, b in zip(patch, shape, before, strict=True)]
    padded = np.pad(prepared, list(zip(before, after, strict=True)))
    logits = []
    for fold in sorted(home.glob("fold_*")):
        one = network(found, 2 if regions else 3, int(fold.name[-1]))
        one.decoder.deep_supervision = False
        with torch.inference_mode():
            if flat:
                answer = torch.stack([one(torch.from_numpy(s[None, None].copy()))[0] for s in padded], dim=1)
            else:
                answer = one(torch.from_numpy(padded[None, None]))[0]
        logits.append(answer.numpy())
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    values = np.stack([zoomed(one[inside], block.shape, 1) for one in np.mean(logits, axis=0)])
    labels = np.zeros(data.shape, np.uint8)
    if regions:
        for channel, value in enumerate((1, 2)):
            labels[box][expit(values[channel]) > 0.5] = value
    else:
        labels[box] = values.argmax(axis=0)
    return labels.transpose(np.argsort(transpose))


@pytest.mark.parametrize(
    "options",
    [{}, {"configuration": "2d"}, {"residual": True}, {"regions": True}, {"folds": 2}, {"transpose": (2, 0, 1)},
     {"configuration": "2d", "transpose": (1, 2, 0)}],
    ids=lambda options: " ".join(map(str, options.values())) or "plain",
)
def test_the_package_gives_nnunets_labels(tmp_path: Path, options: dict[str, Any]) -> None:
    home = result_folder(tmp_path / "results", **options)
    package, volume = add(home), scan()
    with open_package(package, backend="onnxruntime", precision="float32") as session:
        findings = run(volume, package, session)
    found = findings.label_map.whole(volume).voxels
    flat, regions = options.get("configuration") == "2d", options.get("regions", False)
    expected = at_home(home, volume, flat, regions, options.get("transpose", (0, 1, 2)))
    assert {0, 1, 2} == set(np.unique(expected))
    for value in (1, 2):
        mine, theirs = found == value, expected == value
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) >= 0.999


def two_images(tmp_path: Path) -> Path:
    """A network of a CT, and of an MRI whose values are normalised where any image shows something."""
    home = result_folder(
        tmp_path / "results", images=2,
        change=change_plan(
            normalization_schemes=["CTNormalization", "ZScoreNormalization"], use_mask_for_norm=[False, True]
        ),
    )
    found = json.loads((home / "plans.json").read_text())
    found["foreground_intensity_properties_per_channel"]["1"] = FINGERPRINT
    (home / "plans.json").write_text(json.dumps(found))
    return home


def test_a_network_of_two_images_sees_what_nnunet_shows_it(tmp_path: Path) -> None:
    package = add(two_images(tmp_path))
    assert [image.name for image in package.manifest.images] == ["CT", "T1-weighted"]
    first, second = scan(), scan(7)
    second.voxels[:, :, :5] = 0
    seen: list[Any] = []
    both = with_further(first, package.manifest.images, {"T1-weighted": second})
    with open_package(package, backend="onnxruntime", precision="float32") as session:
        findings = run(both, package, session, saw=lambda one, prepared: seen.append(prepared))
    filled = ndimage.binary_fill_holes((first.voxels != 0) | (second.voxels != 0))
    where = np.argwhere(filled)
    box = tuple(slice(a, b + 1) for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True))
    ct = (np.clip(first.voxels[box].astype(float), -40, 300) - 80) / 60
    mri, inside = second.voxels[box].astype(float), filled[box]
    mri[inside] = (mri[inside] - mri[inside].mean()) / mri[inside].std()
    shape = [round(n * old / new) for n, old, new in zip(ct.shape, first.spacing, SPACING, strict=True)]
    (prepared,) = seen
    for mine, theirs in zip((prepared.voxels, *prepared.further), (ct, mri), strict=True):
        np.testing.assert_allclose(mine, zoomed(theirs, shape, 3), atol=1e-4)
    assert {segment.label for segment in findings.segments} <= {"egg", "ball"}


def cascade(folder: Path) -> tuple[Path, Path]:
    """The result folders of both stages."""
    def coarser(found: dict[str, Any]) -> None:
        found["configurations"]["3d_lowres"].update(spacing=[1.5 * value for value in SPACING])

    def second(found: dict[str, Any]) -> None:
        found["configurations"]["3d_cascade_fullres"].update(previous_stage="3d_lowres")

    first = result_folder(folder, configuration="3d_lowres", change=coarser)
    return first, result_folder(folder, configuration="3d_cascade_fullres", fed=2, change=second)


def second_stage(home: Path, volume: Volume, before: np.ndarray) -> np.ndarray:
    """nnU-Net's steps for the second stage, which also sees the labels `before`, one-hot."""
    found = json.loads((home / "plans.json").read_text())
    where = np.argwhere(volume.voxels != 0)
    box = tuple(slice(a, b + 1) for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True))
    block = (np.clip(volume.voxels[box].astype(np.float32), -40, 300) - 80) / 60
    shape = [round(n * old / new) for n, old, new in zip(block.shape, volume.spacing, SPACING, strict=True)]
    labels = np.zeros(shape, int)
    for value in np.unique(before[box]):
        # What lies right between two labels, rounding decides in nnU-Net.
        labels[zoomed((before[box] == value).astype(float), shape, 1) >= 0.5 - 1e-6] = value
    prepared = np.stack([zoomed(block, shape, 3), labels == 1, labels == 2]).astype(np.float32)
    patch = found["configurations"]["3d_cascade_fullres"]["patch_size"]
    start = [max(0, (p - n) // 2) for p, n in zip(patch, shape, strict=True)]
    after = [max(0, p - n - b) for p, n, b in zip(patch, shape, start, strict=True)]
    padded = np.pad(prepared, [(0, 0), *zip(start, after, strict=True)])
    one = network(found, 3, 0, 3)
    one.decoder.deep_supervision = False
    with torch.inference_mode():
        logits = one(torch.from_numpy(padded[None]))[0].numpy()
    inside = tuple(slice(b, b + n) for b, n in zip(start, shape, strict=True))
    result = np.zeros(volume.shape, np.uint8)
    result[box] = np.stack([zoomed(channel[inside], block.shape, 1) for channel in logits]).argmax(axis=0)
    return result


@pytest.mark.parametrize("given", ["the second stage", "the folder of both"])
def test_a_cascade_becomes_two_passes_and_gives_nnunets_labels(tmp_path: Path, given: str) -> None:
    first, second = cascade(tmp_path / "results")
    package, volume = add(second if given == "the second stage" else tmp_path / "results"), scan()
    assert [one.name for one in package.manifest.passes] == ["3d_lowres", "3d_cascade_fullres"]
    with open_package(package, backend="onnxruntime", precision="float32") as session:
        found = run(volume, package, session).label_map.whole(volume).voxels
    expected = second_stage(second, volume, at_home(first, volume, False, False, (0, 1, 2)))
    assert {0, 1, 2} == set(np.unique(expected))
    for value in (1, 2):
        mine, theirs = found == value, expected == value
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) >= 0.999


def test_what_the_plans_say_stands_in_the_package(tmp_path: Path) -> None:
    package = add(result_folder(tmp_path / "results", transpose=(2, 0, 1), mirrored=(0, 2)))
    one = package.manifest.passes[0]
    assert package.id == "dataset901-drawn-3d-fullres"
    assert [label.name for label in package.manifest.labels] == ["egg", "ball"]
    assert (one.prepare.axes, one.prepare.spacing, one.tiling.patch) == ("xzy", SPACING, (24, 28, 32))
    assert one.network.mirror == ("i", "j")
    assert one.prepare.orientation is None


def test_plans_of_2023_are_read_too(tmp_path: Path) -> None:
    def older(found: dict[str, Any]) -> None:
        configuration = found["configurations"]["3d_fullres"]
        del configuration["architecture"]
        found["configurations"] = {"3d_base": configuration, "3d_fullres": {
            "inherits_from": "3d_base", "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4,
            "unet_max_num_features": 320, "conv_kernel_sizes": [[3, 3, 3]] * 2,
            "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2]], "n_conv_per_stage_encoder": [1, 1],
            "n_conv_per_stage_decoder": [1],
        }}

    assert add(result_folder(tmp_path / "older", change=older)).verified_files()


def test_an_exported_zip_is_a_result_folder_too(tmp_path: Path) -> None:
    result_folder(tmp_path / "results" / "Dataset901_Drawn")
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "results").rglob("*"):
            packed.write(path, path.relative_to(tmp_path / "results"))
    assert add(archive).id == "dataset901-drawn-3d-fullres"


class Runs:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


def change_plan(**fields: Any) -> Change:
    return lambda found: found["configurations"]["3d_fullres"].update(fields)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_plan(previous_stage="3d_lowres"),
         "second stage of a cascade, whose first stage nnUNetTrainer__nnUNetPlans__3d_lowres is missing beside it"),
        (change_plan(normalization_schemes=["Own"]), "its normalisation Own is unknown"),
        (change_plan(resampling_fn_data="resample_torch_fornnunet"), "its resampling of data"),
        (change_plan(architecture={**architecture(False, False), "network_class_name": "os.system"}),
         "has the network os.system, but only PlainConvUNet and ResidualEncoderUNet are known"),
        (lambda found: found["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(conv_op="os.system"),
         "builds its network with os.system"),
        (lambda found: found["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(
            features_per_stage=[4, 16]), "does not fit the network of its plans"),
        (lambda found: found.pop("transpose_forward"), "lacks what nnU-Net v2 writes there"),
    ],
)
def test_plans_that_cannot_be_repeated_are_one_sentence(
    tmp_path: Path, own_library: Path, change: Change, words: str
) -> None:
    home = result_folder(tmp_path / "results", change=change)
    with pytest.raises(PackageError, match=words) as told:
        add(home)
    assert "\n" not in str(told.value)
    assert not list(own_library.iterdir())


def test_what_converting_needs_is_said_before(
    tmp_path: Path, own_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = result_folder(tmp_path / "results")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PackageError, match=r"needs torch, onnx and dynamic-network-architectures: pip install"):
        add(home)
    assert not list(own_library.iterdir())


def test_a_checkpoint_with_code_in_it_is_never_run(tmp_path: Path, own_library: Path) -> None:
    trap = tmp_path / "trapped"
    home = result_folder(tmp_path / "results", checkpoint=lambda kept: kept.update(logging=Runs(trap)))
    with pytest.raises(PackageError, match="cannot be opened safely"):
        add(home)
    (home / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps({"network_weights": Runs(trap)}))
    with pytest.raises(PackageError, match="cannot be opened safely"):
        add(home)
    assert not trap.exists()
    assert not list(own_library.iterdir())


def test_a_fold_without_its_checkpoint_and_plans_of_version_1_are_one_sentence(tmp_path: Path) -> None:
    home = result_folder(tmp_path / "results", folds=2)
    (home / "fold_1" / "checkpoint_final.pth").unlink()
    with pytest.raises(PackageError, match=r"fold_1 has no checkpoint_final\.pth"):
        add(home)
    (home / "plans.json").rename(home / "plans.pkl")
    with pytest.raises(PackageError, match=r"plans\.pkl of nnU-Net v1, which is never opened"):
        add(home)


def test_of_several_results_one_must_be_given(tmp_path: Path) -> None:
    result_folder(tmp_path / "results", configuration="2d")
    result_folder(tmp_path / "results")
    with pytest.raises(PackageError, match="several results of nnU-Net: give one of nnUNetTrainer__nnUNetPlans__2d"):
        add(tmp_path / "results")


def test_the_package_loads_from_its_folder(tmp_path: Path) -> None:
    package = add(result_folder(tmp_path / "results"))
    assert load_package(package.folder).manifest == package.manifest
