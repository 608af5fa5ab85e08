"""The importer writes the network that the HDF5 file holds, and refuses everything else."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
import SimpleITK as sitk
import torch
from torch.nn import functional

from medinfer.backends import NetworkFile, available, open_session
from medinfer.errors import PackageError
from medinfer.importers.keras_slab import KNOWN_SHA256, import_keras_slab
from medinfer.importers.slab_network import KERNELS, doubling_kernel
from medinfer.library.package import load_package

FLOAT32_TOLERANCE = 1e-4
# Rounding to 255 steps in thirteen layers, as share of the output's root mean square.
INT8_TOLERANCE = 0.15


def naive(path: Path, slab: np.ndarray) -> np.ndarray:
    """The network layer by layer in torch, straight from the file: up-sample, concatenate, convolve."""
    with h5py.File(path, "r") as file:
        names = sorted((name for name in file if name.startswith("convolution3d")), key=lambda name: int(name[14:]))
        kernels = [torch.tensor(file[f"{name}/{name}_W"][:][:, :, ::-1, ::-1, ::-1].copy()) for name in names]
        layers = iter(zip(kernels, [torch.tensor(file[f"{name}/{name}_b"][:]) for name in names], strict=True))

    def conv(value):
        kernel, bias = next(layers)
        return functional.conv3d(value, kernel, bias, padding=[size // 2 for size in kernel.shape[2:]])

    def pair(value):
        return torch.relu(conv(torch.relu(conv(value))))

    def up(value, skip):
        return torch.cat([functional.interpolate(value, scale_factor=2, mode="nearest"), skip], 1)

    with torch.inference_mode():
        first = pair(torch.from_numpy(slab))
        second = pair(functional.max_pool3d(first, 2))
        value = pair(functional.max_pool3d(second, 2))
        value = pair(up(pair(up(value, second)), first))
        for _ in range(2):
            value = pair(functional.max_pool3d(value, (2, 1, 1)))
        return torch.sigmoid(conv(functional.max_pool3d(value, (2, 1, 1)))).numpy()


@pytest.fixture(scope="module")
def published(test_data) -> Path:
    return test_data / "weights" / "nodule_slab_unet_2mm.h5"


@pytest.fixture(scope="module")
def package(published, tmp_path_factory) -> Path:
    return import_keras_slab(published, tmp_path_factory.mktemp("library") / "slab")


@pytest.fixture
def random_weights(tmp_path) -> Path:
    """A file of the same shapes with other numbers, other layer numbers, and the layers in no good order."""
    rng = np.random.default_rng(5)
    path = tmp_path / "other.h5"
    with h5py.File(path, "w", track_order=True) as file:
        entries = [(f"convolution3d_{number}", shape) for number, shape in enumerate(KERNELS.values(), start=3)]
        for name, shape in reversed(entries):
            scale = np.sqrt(2 / np.prod(shape[1:]))
            file[f"{name}/{name}_W"] = rng.normal(size=shape, scale=scale).astype(np.float32)
            file[f"{name}/{name}_b"] = rng.normal(size=shape[0], scale=0.1).astype(np.float32)
    return path


def ct_like(*size: int) -> np.ndarray:
    """A slab of smooth shapes in the network's range of values (−0.028 … 0.972)."""
    rng = np.random.default_rng(7)
    small = torch.from_numpy(rng.random((size[0], 1, 3, size[2] // 8 + 1, size[3] // 8 + 1), np.float32))
    smooth = functional.interpolate(small, size=size[1:], mode="trilinear").numpy()
    return np.clip(smooth * 1.6 - 0.6, -0.028, 0.972) + rng.normal(scale=0.01, size=smooth.shape).astype(np.float32)


def test_doubling_then_convolving_is_one_transposed_convolution():
    torch.manual_seed(0)
    kernel, value = torch.randn(3, 2, 3, 3, 3), torch.randn(1, 2, 2, 5, 4)
    expected = functional.conv3d(functional.interpolate(value, scale_factor=2), kernel, padding=1)
    spread = torch.from_numpy(doubling_kernel(kernel.numpy()))
    result = functional.conv_transpose3d(value, spread, stride=2, padding=1)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("size", [(1, 8, 40, 48), (3, 8, 4, 8)])
def test_the_imported_network_is_the_one_in_the_file(random_weights, tmp_path, runtime, size):
    folder = import_keras_slab(random_weights, tmp_path / "package")
    slab, file = ct_like(*size), NetworkFile(folder / "network.onnx", "onnx")
    with open_session([file], inputs=["slab"], outputs=["probability"], backend=runtime, device="cpu",
                      precision="float32") as session:
        result = session.run({"slab": slab})["probability"]
    expected = naive(random_weights, slab)
    assert result.shape == (size[0], 1, 1, *size[2:])
    assert expected.std() > 0.01, "the test's weights saturate: the comparison would say nothing"
    np.testing.assert_allclose(result, expected, atol=FLOAT32_TOLERANCE, rtol=FLOAT32_TOLERANCE)


@pytest.mark.parametrize(("runtime", "precision"), [
    ("onnxruntime", "float32"), ("openvino", "float32"), ("openvino", "int8"), ("onnxruntime", "int8"),
])
def test_the_published_weights_find_the_same_everywhere(published, package, test_data, runtime, precision):
    (here,) = (entry for entry in available([runtime]) if entry.device == "cpu")
    if precision not in here.precisions:
        pytest.skip(f"{runtime} reports no {precision} for this processor")
    slab = nodule_slab(test_data)
    files = [NetworkFile(package / name, "onnx") for name in ("network.onnx", "network-int8.onnx")]
    with open_session(files, inputs=["slab"], outputs=["probability"], backend=runtime, device="cpu",
                      precision=precision) as session:
        result = session.run({"slab": slab})["probability"]
        assert session.precision == precision
    expected = naive(published, slab)
    assert (expected > 0.5).sum() > 50, "no nodule in this slab: the comparison would say nothing"
    if precision == "float32":
        np.testing.assert_allclose(result, expected, atol=FLOAT32_TOLERANCE)
        return
    assert np.sqrt(np.mean((result - expected) ** 2) / np.mean(expected**2)) < INT8_TOLERANCE
    overlap = 2 * ((result > 0.5) & (expected > 0.5)).sum() / ((result > 0.5).sum() + (expected > 0.5).sum())
    assert overlap > 0.95


def nodule_slab(test_data: Path) -> np.ndarray:
    """Eight slices at 2 mm around the nodule of LIDC-IDRI-0001 at LPS (56.2, 86.3, −115.9) mm: [1, 1, 8, 80, 80]."""
    image = sitk.ReadImage(str(test_data / "chest" / "LIDC-IDRI-0001.nii.gz"))
    corner = (56.2 - 80, 86.3 - 80, -115.9 - 8)
    square = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    grid = sitk.Resample(
        image, (80, 80, 8), sitk.Transform(), sitk.sitkLinear, corner, (2, 2, 2), square, -1000.0, sitk.sitkFloat32
    )
    return (np.clip((sitk.GetArrayFromImage(grid) + 1000) / 1400, 0, 1) - 0.028).astype(np.float32)[None, None]


def test_auto_takes_the_eight_bit_file_where_openvino_is_the_choice(package):
    pytest.importorskip("openvino")
    files = [NetworkFile(package / name, "onnx") for name in ("network.onnx", "network-int8.onnx")]
    with open_session(files, inputs=["slab"], outputs=["probability"], backend="openvino", device="cpu") as session:
        assert session.precision == "int8"
    with open_session(files, inputs=["slab"], outputs=["probability"], backend="onnxruntime", device="cpu") as session:
        assert session.precision == "float32"


def test_the_card_tells_the_published_weights_from_others(package, random_weights, tmp_path, published):
    assert hashlib.sha256(published.read_bytes()).hexdigest() == KNOWN_SHA256
    known = load_package(package)
    known.verified_files()
    assert (known.id, known.manifest.card.licence) == ("nodule-slab-2mm", "MIT")
    assert "LUNA16" in known.manifest.card.limits
    other = load_package(import_keras_slab(random_weights, tmp_path / "other"))
    other.verified_files()
    assert other.id.startswith("nodule-slab-2mm-")
    assert other.manifest.card.measured == ()
    assert "not the published weights" in other.manifest.card.limits


def test_the_network_files_are_small_checked_onnx_with_readable_names(package):
    for name in ("network.onnx", "network-int8.onnx"):
        model = onnx.load(package / name)
        onnx.checker.check_model(model, full_check=True)
        assert {"down1.first", "up1.first.skip", "head"} <= {node.name for node in model.graph.node}
    assert sum((package / name).stat().st_size for name in ("network.onnx", "network-int8.onnx")) < 4e6
    declared = json.loads((package / "model.json").read_text())["passes"][0]["network"]["files"]
    assert [file["path"] for file in declared] == ["network.onnx", "network-int8.onnx"]


def spoil(path: Path, what: str) -> None:
    if what == "text":
        path.write_text("404: Not Found")
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "truncated":
        path.write_bytes(path.read_bytes()[:100_000])
    else:
        with h5py.File(path, "a") as file:
            if what == "a layer too few":
                del file["convolution3d_9"]
            elif what == "no bias":
                del file["convolution3d_9/convolution3d_9_b"]
            elif what == "other shape":
                del file["convolution3d_9/convolution3d_9_W"]
                file["convolution3d_9/convolution3d_9_W"] = np.zeros((1, 2, 3), np.float32)
            elif what == "not numbers":
                del file["convolution3d_9/convolution3d_9_b"]
                file["convolution3d_9/convolution3d_9_b"] = np.array([b"x"] * 40)
            elif what == "NaN":
                file["convolution3d_9/convolution3d_9_b"][3] = np.nan
            elif what == "a group where numbers should be":
                del file["convolution3d_9/convolution3d_9_b"]
                file.create_group("convolution3d_9/convolution3d_9_b")


@pytest.mark.parametrize("what", [
    "text", "empty", "truncated", "a layer too few", "no bias", "other shape", "not numbers", "NaN",
    "a group where numbers should be",
])
def test_another_file_is_refused_in_one_sentence_and_nothing_is_written(random_weights, tmp_path, what):
    spoil(random_weights, what)
    with pytest.raises(PackageError, match=r"other\.h5 is not") as caught:
        import_keras_slab(random_weights, tmp_path / "package")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "package").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PackageError, match="does not exist"):
        import_keras_slab(tmp_path / "none.h5", tmp_path / "package")


def test_importing_again_gives_the_same_bytes(random_weights, tmp_path):
    first = import_keras_slab(random_weights, tmp_path / "a")
    second = import_keras_slab(shutil.copy(random_weights, tmp_path / "copy.h5"), tmp_path / "b")
    for name in ("network.onnx", "model.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
