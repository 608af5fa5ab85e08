"""MONAI bundles: the package's labels against those that MONAI itself gives, from the same bundle and the same file."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_bundles import (
    METADATA,
    NEAREST,
    POST,
    SIGMOID,
    SOFTMAX,
    UNET,
    bundle,
    changed,
    segresnet_config,
    unet_config,
)
from scipy import ndimage

from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage
from medinfer.preparation.images import with_further
from medinfer.preparation.resample import respaced_as_monai
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid

torch = pytest.importorskip("torch")
pytest.importorskip("monai.networks.nets")
nibabel = pytest.importorskip("nibabel")


TWO_IMAGES = json.loads(json.dumps(METADATA))
TWO_IMAGES["network_data_format"]["inputs"]["image"]["channel_def"] = {"0": "T1c", "1": "FLAIR"}


def scan(path: Path, shape: tuple[int, int, int] = (34, 30, 22), seed: int = 5, rim: int = 0) -> Path:
    """Smooth noise on an oblique, anisotropic grid; some of it is 0. shape: along x, y, z. rim: so many voxels at each
    end of the axes are air."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.3)
    voxels = np.where(noise > 0.06, 0, 60 + 900 * noise)
    if rim:
        voxels = np.pad(voxels[(slice(rim, -rim),) * 3], rim, constant_values=-1000)
    turn = np.linalg.qr(np.eye(3) + 0.2 * np.random.default_rng(4).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([0.9, -1.3, 1.8]), (20, -30, 40)
    nibabel.save(nibabel.Nifti1Image(np.rint(voxels).astype(np.int16), matrix), path)
    return path


def at_home(home: Path, path: Path | list[Path]) -> np.ndarray:
    """The bundle run by MONAI: its own parser, transforms, inferer and inverse transforms. `[k, j, i]`, of several
    channels one behind the other."""
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
    found = data["pred"].numpy().astype(int)
    return found[0].T if len(found) == 1 else np.stack([channel.T for channel in found])


def here(package: ModelPackage, path: Path, **further: Path) -> np.ndarray:
    others = {name: read_volume(file) for name, file in further.items()}
    volume = with_further(read_volume(path), package.manifest.images, others)
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


def test_a_bare_network_in_monais_ways_gives_monais_labels(tmp_path: Path) -> None:
    """The same network as TorchScript, and the same ways by options instead of a configuration."""
    home, path = bundle(tmp_path / "bundle", unet_config()), scan(tmp_path / "scan.nii.gz")
    expected = at_home(home, path)
    nets = importlib.import_module("monai.networks.nets")
    network = nets.UNet(**{name: value for name, value in UNET.items() if name != "_target_"}).eval()
    network.load_state_dict(torch.load(home / "models" / "model.pt", weights_only=True))
    torch.jit.trace(network, torch.zeros(1, 1, 20, 16, 12)).save(str(tmp_path / "net.pt"))
    words = {
        "labels": "egg,ball", "like": "monai", "spacing": "1.41,1.13,2.03", "intensity": "clip -57 164 to -1..1",
        "patch": "20,16,12", "overlap": "0.625", "weights": "gaussian",
    }
    alike(here(add(tmp_path / "net.pt", given=Given(words)), path), expected, 2, 0)


def test_a_segresnet_with_a_sigmoid_gives_monais_labels(tmp_path: Path) -> None:
    home = bundle(tmp_path / "bundle", segresnet_config(), wrapped=True)
    path = scan(tmp_path / "scan.nii.gz")
    alike(here(add(home), path), at_home(home, path), 1, 20)


def test_labels_with_a_sigmoid_each_overlap_as_in_monai(tmp_path: Path) -> None:
    home = bundle(tmp_path / "bundle", unet_config(), change=changed(POST, SIGMOID))
    path = scan(tmp_path / "scan.nii.gz")
    volume, package = read_volume(path), add(home)
    with open_package(package, precision="float32") as session:
        findings = run(volume, package, session)
    layers = [layer.whole(volume).voxels for layer in findings.label_map.layers]
    expected = at_home(home, path)
    assert (expected.sum(axis=0) > 1).any(), "nothing overlaps"
    for number, theirs in enumerate(expected, start=1):
        (layer,) = [segment.layer for segment in findings.segments if segment.value == number]
        mine = layers[layer] == number
        assert 2 * (mine & (theirs > 0)).sum() / (mine.sum() + theirs.sum()) >= 0.999


def test_several_images_are_the_channels_that_monai_loads_as_one(tmp_path: Path) -> None:
    config = {**unet_config(), "network_def": {**UNET, "in_channels": 2}}
    # As for the brain tumours of BraTS: no other spacing, at which what is exactly 0 would hang on rounding.
    config["preprocessing"]["transforms"][3:5] = [
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True}
    ]
    home = bundle(tmp_path / "bundle", config, metadata=TWO_IMAGES)
    first, second = scan(tmp_path / "first.nii.gz"), scan(tmp_path / "second.nii.gz", seed=6)
    package = add(home)
    assert [image.name for image in package.manifest.images] == ["T1c", "FLAIR"]
    alike(here(package, first, FLAIR=second), at_home(home, [first, second]), 2, 0)


def test_values_that_change_before_the_spacing_change_there_here_too(tmp_path: Path) -> None:
    config = unet_config()
    steps = config["preprocessing"]["transforms"]
    steps[3], steps[4] = steps[4], steps[3]
    home, path = bundle(tmp_path / "bundle", config), scan(tmp_path / "scan.nii.gz")
    package = add(home)
    assert package.manifest.passes[0].prepare.intensity_on == "scan"
    alike(here(package, path), at_home(home, path), 2, 0)


def test_the_foreground_is_cropped_as_in_monai(tmp_path: Path) -> None:
    config = unet_config()
    steps = config["preprocessing"]["transforms"]
    steps[4]["b_min"] = 0
    steps.insert(5, {"_target_": "CropForegroundd", "keys": "@image_key", "source_key": "@image_key"})
    home, path = bundle(tmp_path / "bundle", config), scan(tmp_path / "scan.nii.gz", rim=4)
    package = add(home)
    assert package.manifest.passes[0].prepare.region.kind == "positive"
    # Outside of the box MONAI interpolates between its last voxels and nothing, half a voxel far.
    volume = read_volume(path)
    inside = ndimage.binary_erosion(volume.voxels > -500, iterations=1)
    alike(np.where(inside, here(package, path), 0), np.where(inside, at_home(home, path), 0), 2, 0)


def test_labels_that_overlap_are_made_one_map_in_the_bundles_own_order(tmp_path: Path) -> None:
    """As in the bundle of BraTS: a function of Python, whose form is known."""
    one_map = {
        "_target_": "Lambdad", "keys": "pred",
        "func": "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))",
    }
    home = bundle(tmp_path / "bundle", unet_config(), change=changed(POST, [*SIGMOID, one_map]))
    path = scan(tmp_path / "scan.nii.gz")
    package = add(home)
    assert [label.value for label in package.manifest.labels] == [1, 2, 4]
    found, expected = here(package, path), at_home(home, path)
    assert {1, 2, 4} <= set(np.unique(expected))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_a_scan_smaller_than_a_tile_is_padded_as_monai_pads(tmp_path: Path, padding: str) -> None:
    home = bundle(tmp_path / "bundle", unet_config(), change=changed("inferer::padding_mode", padding))
    path = scan(tmp_path / "scan.nii.gz", (25, 20, 14))
    package = add(home)
    assert package.manifest.passes[0].tiling.pad == {"reflect": "reflect", "replicate": "edge"}[padding]
    alike(here(package, path), at_home(home, path), 2, 0)


def test_a_configuration_in_yaml_is_the_same(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    home = bundle(tmp_path / "bundle", unet_config())
    expected = add(home).manifest
    file = home / "configs" / "inference.json"
    file.with_suffix(".yaml").write_text(yaml.safe_dump(json.loads(file.read_text())))
    file.unlink()
    found = add(home).manifest
    assert found.passes[0].prepare == expected.passes[0].prepare
    assert found.passes[0].tiling == expected.passes[0].tiling
    assert found.passes[0].decoder == expected.passes[0].decoder


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


def test_the_weights_are_those_that_the_configuration_loads(tmp_path: Path) -> None:
    config = {**unet_config(), "checkpointloader": {
        "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/tuned.pt'",
    }}
    home = bundle(tmp_path / "bundle", config)
    (home / "models" / "model.pt").rename(home / "models" / "tuned.pt")
    torch.save({}, home / "models" / "model.pt")
    assert add(home).manifest.passes[0].network.channels == 3


def dints_config() -> dict[str, Any]:
    """A network whose form was searched for, as the zoo's bundles of it are written."""
    found = unet_config()
    found["arch_ckpt_path"] = "$@bundle_root + '/models/search_code.pt'"
    found["arch_ckpt"] = "$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))"
    found["dints_space"] = {
        "_target_": "monai.networks.nets.TopologyInstance", "channel_mul": 0.2, "num_blocks": 3, "num_depths": 2,
        "use_downsample": True, "arch_code": ["$@arch_ckpt['arch_code_a']", "$@arch_ckpt['arch_code_c']"],
        "device": "$torch.device('cuda')",
    }
    found["network_def"] = {
        "_target_": "monai.networks.nets.DiNTS", "dints_space": "@dints_space", "in_channels": 1, "num_classes": 3,
        "use_downsample": True, "node_a": "$torch.from_numpy(@arch_ckpt['node_a'])",
    }
    found["inferer"]["roi_size"] = [32, 16, 16]
    return found


def test_a_network_whose_form_was_searched_for_is_built_of_its_form_and_its_weights(tmp_path: Path) -> None:
    dints = importlib.import_module("monai.networks.nets.dints")
    rng = np.random.default_rng(0)
    form = {"arch_code_a": np.ones((3, 4)), "arch_code_c": rng.integers(0, 5, (3, 4)), "node_a": np.ones((4, 2))}
    space = dints.TopologyInstance(
        arch_code=[form["arch_code_a"], form["arch_code_c"]], channel_mul=0.2, num_blocks=3, num_depths=2
    )
    torch.manual_seed(0)
    network = dints.DiNTS(space, 1, 3, node_a=torch.from_numpy(form["node_a"])).eval()
    home = bundle(tmp_path / "bundle", dints_config(), weights=network.state_dict())
    with pytest.raises(PackageError, match=r"no models/search_code\.pt, which describes its network's form"):
        add(home)
    torch.save(form, home / "models" / "search_code.pt")
    package = add(home)
    values = rng.normal(size=(1, 1, 32, 16, 16)).astype(np.float32)
    with torch.inference_mode(), open_package(package, precision="float32") as session:
        expected = network(torch.from_numpy(values)).numpy()
        (found,) = session.passes["segments"].run({"image": values}).values()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


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
