"""Whole runs whose tiles are cut, joined and decided on the network's device: the labels of a run on the host.

ONNX Runtime's device is torch's processor here; a graphics card takes the same code (`make gpu-check` compares on one).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import two_images
from held_tensors import DEVICE, HeldTensors
from onnx import TensorProto, helper, numpy_helper
from scipy import ndimage
from voxelwise import one_pass, voxelwise, write_package

from medinfer.backends import Session
from medinfer.backends.session import Tensors
from medinfer.errors import OutOfMemory, PackageError
from medinfer.findings import Findings
from medinfer.inference.device_run import runs_on_device
from medinfer.inference.package_session import PackageSession, open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import load_package, sha256_of
from medinfer.manifest import HeatmapDecoder
from medinfer.preparation.images import with_further
from medinfer.volume import Grid, Volume

NAMES = ["liver", "tumour", "vessel"]
SCORES = {"kind": "segments", "activation": "softmax"}


def convolution(channels: int, seed: int, dimensions: int = 3, stride: int = 1, batch: Any = "n") -> bytes:
    """An ONNX network of one convolution with an uneven kernel, as ONNX; where its axes lie matters."""
    weights = np.random.default_rng(seed).normal(size=(channels, 1, 3, 3, 5)[: 2 + dimensions]).astype(np.float32)
    axes = ["a", "b", "c"][:dimensions]

    def value(name: str, count: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, count, *axes])

    pads = [n // 2 for n in weights.shape[2:]] * 2
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["answer"], pads=pads, strides=[stride] * dimensions)], "convolution",
        [value("image", 1)], [value("answer", channels)], [numpy_helper.from_array(weights, "w")],
    )
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
                                       ).SerializeToString()
    return content


@pytest.fixture(scope="module")
def scan() -> Volume:
    voxels = ndimage.gaussian_filter(np.random.default_rng(7).normal(size=(23, 27, 31)), 1.5).astype(np.float32) * 20
    matrix = np.diag([-1.1, 0.9, 1.3, 1])
    matrix[:3, 3] = (10.0, -20.0, 30.0)
    return Volume(voxels, Grid(voxels.shape, matrix), "drawn")


def packaged(
    folder: Path, networks: Sequence[bytes], decoder: Any = SCORES, tiling: Any = None, *, names: Sequence[str] = NAMES,
    prepare: Any = None, network: Any = None, task: str = "segment", of: str = "objects",
) -> Path:
    """A package of one pass, over the mean of these networks."""
    one = one_pass("parts", networks[0], decoder, labels=list(names))
    one["tiling"] = tiling or one["tiling"]
    one["prepare"].update(prepare or {})
    one["network"].update(network or {})
    folder.mkdir(parents=True)
    for n, content in enumerate(networks[1:]):
        (folder / f"fold_{n}.onnx").write_bytes(content)
    one["network"]["further"] = [
        [{"path": path.name, "format": "onnx", "sha256": sha256_of(path)}] for path in sorted(folder.glob("fold_*"))
    ]
    result = [{"of": "parts", "as": of}]
    return write_package(folder, {"parts": networks[0]}, [one], task=task, result=result, labels=list(names))


def host_is_not_asked(session: Session) -> None:
    def refuse(feeds: Any) -> Any:
        raise AssertionError("an array was handed to the network")

    session.joins_on_device = True
    session.run = refuse  # type: ignore[method-assign]


def find(folder: Path, volume: Volume, *, on_device: bool) -> Findings:
    package = load_package(folder)
    with open_package(package, backend="onnxruntime", precision="float32", threads=1) as session:
        if on_device:
            for one in session.passes.values():
                host_is_not_asked(one)
        return run(volume, package, session)


def alike(host: Findings, device: Findings, volume: Volume) -> None:
    assert len(host.segments) > 0
    assert host.label_map is not None
    assert device.label_map is not None
    for one, other in zip(host.label_map.layers, device.label_map.layers, strict=True):
        np.testing.assert_array_equal(one.whole(volume).voxels, other.whole(volume).voxels)
    assert host.notes == device.notes
    for here, there in zip(host.segments, device.segments, strict=True):
        assert (here.label, here.layer, here.volume_mm3) == (there.label, there.layer, there.volume_mm3)
        assert here.confidence == pytest.approx(there.confidence, abs=1 / 255)


BLEND = {"join": "blend", "patch": [8, 12, 10], "overlap": 0.5}
SPACED = {"spacing": [1.1, 1.2, 1.0], "resampling": {"align": "edges"}}
CASES: dict[str, dict[str, Any]] = {
    "crop": {"tiling": {"join": "crop", "patch": [12, 12, 12], "margin": [2, 2, 2]}},
    "crop, padded, coarser answer": {
        "stride": 2, "tiling": {"join": "crop", "patch": [12, 16, 12], "margin": [4, 4, 4], "stride": 2,
                                "border": "padded", "pad": 0.5},
    },
    "crop, any size": {"tiling": {"join": "crop", "patch": [16] * 3, "margin": [2] * 3, "fit": True, "multiple": 4}},
    "slabs": {"tiling": {"join": "slabs", "window": 3, "position": 1, "multiple": 4}},
    "blended": {"tiling": BLEND},
    "constant weights, one after the other": {
        "tiling": {**BLEND, "overlap": 0.3, "weights": "constant", "spread": "last", "pad": "reflect"},
    },
    "nnU-Net": {
        "tiling": {**BLEND, "weights": "nnunet", "pad": 0.0}, "decoder": {**SCORES, "decide": "logits"},
        "prepare": SPACED, "folds": 3, "network": {"mirror": ["k", "j", "i"]},
    },
    "MONAI": {
        "tiling": {**BLEND, "overlap": 0.25, "spread": "last"}, "prepare": {**SPACED, "axes": "xyz"},
        "decoder": {**SCORES, "decide": "probabilities"}, "network": {"mirror": ["i"]},
    },
    "nearest": {"tiling": BLEND, "prepare": SPACED, "decoder": {**SCORES, "decide": "nearest"}},
    "regions": {
        "tiling": BLEND, "prepare": SPACED, "folds": 2,
        "decoder": {"kind": "segments", "activation": "sigmoid", "decide": "logits", "order": NAMES[::-1]},
    },
    "overlapping": {
        "tiling": BLEND, "decoder": {"kind": "segments", "activation": "sigmoid", "overlap": True, "threshold": 0.6},
    },
    "slices": {
        "tiling": {"join": "blend", "patch": [1, 16, 16], "overlap": 0.5},
        "network": {"dimensions": 2, "mirror": ["j"]},
    },
    "slices along another axis": {
        "tiling": {"join": "crop", "patch": [12, 16, 1], "margin": [0, 0, 0]}, "network": {"dimensions": 2},
        "prepare": {"axes": "xyz"},
    },
    "one tile alone": {"tiling": BLEND, "batch": 1},
}


@pytest.mark.parametrize("case", CASES)
def test_the_labels_of_the_host_come_from_the_device(tmp_path: Path, scan: Volume, case: str) -> None:
    given = CASES[case]
    decoder = given.get("decoder", SCORES)
    channels = 3 if decoder["activation"] == "sigmoid" else 4
    dimensions = given.get("network", {}).get("dimensions", 3)
    fields = {key: given[key] for key in ("tiling", "prepare", "network") if key in given}
    networks = [
        convolution(channels, seed, dimensions, given.get("stride", 1), given.get("batch", "n"))
        for seed in range(given.get("folds", 1))
    ]
    folder = packaged(tmp_path / "package", networks, decoder, **fields)
    alike(find(folder, scan, on_device=False), find(folder, scan, on_device=True), scan)


def test_boxes_of_labels_come_from_the_device(tmp_path: Path, scan: Volume) -> None:
    folder = packaged(
        tmp_path / "package", [convolution(1, 3)], {"kind": "labels", "activation": "sigmoid", "threshold": 0.9},
        names=["spot"], task="detect", of="boxes", tiling=BLEND,
    )
    host, device = (find(folder, scan, on_device=on_device) for on_device in (False, True))
    assert len(host.boxes) > 1
    for one, other in zip(*(sorted(found.boxes, key=lambda box: box.center_ras) for found in (host, device)),
                          strict=True):
        assert (one.center_ras, one.label) == (other.center_ras, other.label)
        assert one.score == pytest.approx(other.score, abs=1 / 255)


def test_what_an_earlier_pass_found_is_fed_on_the_device(tmp_path: Path, scan: Volume) -> None:
    first = one_pass("first", voxelwise([[1]], [-3]), {"kind": "segments"}, labels=["liver"])
    second_network = voxelwise([[0, 0], [1, 0], [0, 6]], [0.5, 0, 0], steps=False)
    second = one_pass(
        "second", second_network, SCORES, labels=["tumour", "vessel"], fed=[{"role": "labels", "of": "first"}],
    )
    second["tiling"] = BLEND
    folder = write_package(
        tmp_path / "package", {"first": voxelwise([[1]], [-3]), "second": second_network}, [first, second],
        task="segment", result=[{"of": "second", "as": "objects"}], labels=NAMES,
    )
    alike(find(folder, scan, on_device=False), find(folder, scan, on_device=True), scan)


def test_several_images_are_cut_on_the_device(tmp_path: Path) -> None:
    folder = two_images.write_package(tmp_path / "package")
    first, second = two_images.image(two_images.HERE), two_images.image(two_images.HERE, two_images.THERE)
    volume = with_further(first, load_package(folder).manifest.images, {"T2": second})
    alike(find(folder, volume, on_device=False), find(folder, volume, on_device=True), volume)


def test_what_is_no_number_is_refused_on_the_device(tmp_path: Path, scan: Volume) -> None:
    folder = packaged(tmp_path / "package", [convolution(4, 0)], tiling=BLEND)
    broken = replace(scan, voxels=np.where(scan.voxels > 4, np.nan, scan.voxels).astype(np.float32))
    with pytest.raises(PackageError, match="NaN"):
        find(folder, broken, on_device=True)


# What runs out of memory: torch's own error, of a small network on the processor.


class Narrow(torch.nn.Module):
    """Convolves what has room: `most` voxels at once."""

    def __init__(self, most: int, channels: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.most, self.asked = most, list[tuple[int, ...]]()
        self.layer = torch.nn.Conv3d(1, channels, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.asked.append(tuple(image.shape))
        if image.numel() > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free.")
        with torch.no_grad():
            return self.layer(image)


def session_of(network: torch.nn.Module) -> Session:
    network.to(DEVICE)
    return Session(
        runtime="torch", device="cuda:0", precision="float32", name="narrow.ts", inputs={"image": (None,) * 5},
        outputs=["answer"], runner=lambda arrays: [network(torch.from_numpy(arrays[0]).to(DEVICE)).cpu().numpy()],
        tensors=lambda: Tensors(DEVICE, lambda tensors: [network(tensors[0])]),
    )


def found_by(folder: Path, volume: Volume, session: Session) -> Findings:
    return run(volume, load_package(folder), PackageSession({"parts": session}))


@pytest.fixture
def blended(tmp_path: Path) -> Path:
    return packaged(tmp_path / "blended", [convolution(4, 0)], tiling=BLEND)


@pytest.fixture
def cropped(tmp_path: Path) -> Path:
    tiling = {"join": "crop", "patch": [16, 16, 16], "margin": [2, 2, 2], "fit": True}
    return packaged(tmp_path / "cropped", [convolution(4, 0)], tiling=tiling)


def test_as_many_tiles_as_fit_are_run_at_once(blended: Path, scan: Volume) -> None:
    network = Narrow(1 << 30)
    whole = found_by(blended, scan, session_of(network))
    assert {shape[0] for shape in network.asked[:-1]} == {16}
    assert network.asked[-1][0] == (whole.run["tiles"] - 1) % 16 + 1


@pytest.mark.parametrize("room", [1, 3, 5])
def test_where_memory_does_not_suffice_fewer_tiles_run_at_once(blended: Path, scan: Volume, room: int) -> None:
    expected = found_by(blended, scan, session_of(Narrow(1 << 30)))
    network = Narrow(room * 8 * 12 * 10)
    found = found_by(blended, scan, session_of(network))
    most = {1: 1, 3: 2, 5: 4}[room]
    note = f"the network saw {most} instead of 16 tiles at once: memory did not suffice for more"
    assert found.notes == (*expected.notes, note)
    assert max(shape[0] for shape in network.asked[-8:]) == most
    assert found.run["tiles"] == expected.run["tiles"]
    assert whole(found, scan).tolist() == whole(expected, scan).tolist()


def whole(findings: Findings, volume: Volume) -> np.ndarray:
    assert findings.label_map is not None
    return findings.label_map.whole(volume).voxels


def test_then_tiles_become_smaller_where_the_network_takes_any_size(cropped: Path, scan: Volume) -> None:
    expected = found_by(cropped, scan, session_of(Narrow(1 << 30)))
    network = Narrow(9 * 10 * 16)
    found = found_by(cropped, scan, session_of(network))
    assert found.notes == (
        *expected.notes, "the network saw 1 instead of 16 tiles at once: memory did not suffice for more",
        f"the network saw tiles of {sizes(network, -1)} instead of {sizes(network, 0)} voxels: memory did not suffice "
        "for larger ones",
    )
    assert np.prod(network.asked[-1]) <= 9 * 10 * 16 < np.prod(network.asked[0][1:])
    np.testing.assert_array_equal(whole(found, scan), whole(expected, scan))


def sizes(network: Narrow, call: int) -> str:
    return "×".join(map(str, network.asked[call][2:]))


def test_what_was_trained_on_one_patch_keeps_it(blended: Path, scan: Volume) -> None:
    with pytest.raises(OutOfMemory, match=r"graphics card ran out of memory \(torch on cuda:0, a tile of 1×1×8×12×10"):
        found_by(blended, scan, session_of(Narrow(100)))


def test_what_no_tile_is_small_enough_for_is_an_error(cropped: Path, scan: Volume) -> None:
    with pytest.raises(OutOfMemory, match=r"a tile of 1×1×7×8×7"):
        found_by(cropped, scan, session_of(Narrow(100)))


def test_torch_is_loaded_for_a_large_output_alone(blended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,), session = load_package(blended).manifest.passes, session_of(Narrow(1))
    assert runs_on_device(one, session, (40, 40, 40))
    monkeypatch.delitem(sys.modules, "torch")
    assert not runs_on_device(one, session, (40, 40, 40))
    assert runs_on_device(one, session, (300, 512, 512))
    heatmaps = one.model_copy(update={"decoder": HeatmapDecoder(kind="heatmap")})
    assert not runs_on_device(heatmaps, session, (300, 512, 512))


def test_where_joining_does_not_fit_the_processor_does_it(
    blended: Path, scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medinfer.tiles import joining

    expected = found_by(blended, scan, session_of(Narrow(1 << 30)))

    def full(self: Any, result: Any, part: Any, block: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(joining.TensorBlendJoiner, "_accumulate", full)
    found = found_by(blended, scan, session_of(Narrow(1 << 30)))
    assert found.notes[-1] == (
        "the tiles were joined by the processor: the memory of the graphics card did not suffice for it"
    )
    np.testing.assert_array_equal(whole(found, scan), whole(expected, scan))


def test_another_fault_of_the_device_is_no_lack_of_memory(
    blended: Path, scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medinfer.tiles import joining

    def broken(self: Any, result: Any, part: Any, block: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(joining.TensorBlendJoiner, "_accumulate", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        found_by(blended, scan, session_of(Narrow(1 << 30)))


class Alone(Narrow):
    """Takes one tile alone, as a network that was traced with one may."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if len(image) > 1:
            raise RuntimeError("shape '[1, -1]' is invalid")
        return super().forward(image)


class Deaf(Narrow):
    """Answers for the first tile of several."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image)[:1]


@pytest.mark.parametrize("kind", [Alone, Deaf])
def test_a_network_that_takes_one_tile_alone_gets_one(
    blended: Path, scan: Volume, kind: Callable[[int], Narrow]
) -> None:
    expected = found_by(blended, scan, session_of(Narrow(1 << 30)))
    found = found_by(blended, scan, session_of(kind(1 << 30)))
    assert found.notes == expected.notes
    np.testing.assert_array_equal(whole(found, scan), whole(expected, scan))


def test_the_device_holds_what_is_stated(tmp_path: Path) -> None:
    """However long the scan is, beside the scan itself, which takes nothing where the device is the host."""
    patch, overlap, plane, channels, at_once = 16, 4, 28, 4, 16
    tiling = {"join": "blend", "patch": [patch] * 3, "overlap": overlap / patch}
    folder = packaged(tmp_path / "package", [convolution(channels, 0)], {**SCORES, "decide": "logits"}, tiling)
    most = []
    # Of 48 and 64 tiles, so that the last ones, too, come in a full batch.
    for length in (148, 196):
        volume = Volume(np.zeros((length, plane, plane), np.float32), Grid((length, plane, plane), np.eye(4)), "long")
        with HeldTensors() as held:
            found_by(folder, volume, session_of(Narrow(1 << 30)))
        most.append(held.most)
    tiles = 4 * at_once * patch**3 * (2 + channels)
    joining = 4 * (channels + 1) * (overlap * plane**2 + patch * overlap * plane + patch**3) + 4 * channels * patch**3
    deciding = 4 * channels * (patch + 1 + 1) * plane**2
    assert most[1] < 1.05 * most[0]
    assert most[1] < 1.1 * (tiles + joining + deciding)
