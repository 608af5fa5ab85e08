"""Published nodule detectors: checkpoints as Python 2 wrote them become packages that find what the network finds."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from medinfer.decoders.nms import nms_cubes
from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.importers.detector_signs import detector_format
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import ModelPackage, load_package
from medinfer.volume import Grid, Volume

torch = pytest.importorskip("torch")

from medinfer.importers.anchor_net import GRT123, AnchorNet  # noqa: E402 (needs torch)
from medinfer.importers.dual_path_net import DualPathNet  # noqa: E402
from medtrain.datasets.detection_data import coordinate_grid  # noqa: E402
from medtrain.targets.anchor_targets import decode  # noqa: E402

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Storage:
    """The numbers of a tensor, which lie behind the pickles."""

    def __init__(self, tensor: Any, key: str) -> None:
        self.tensor, self.key = tensor, key


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes as Python 2 did: texts are strings of bytes, and tensors are rebuilt by torch 0.1's function."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)
        self.storages: list[_Storage] = []

    def save_text(self, text: str) -> None:
        data = text.encode("latin-1")
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_text

    def save_ordered(self, mapping: Any) -> None:
        # Python 2 made it of a list of pairs, which are lists.
        self.save_reduce(OrderedDict, ([list(pair) for pair in mapping.items()],), obj=mapping)

    dispatch[OrderedDict] = save_ordered

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Storage):
            return None
        kind = torch.FloatStorage if value.tensor.dtype == torch.float32 else torch.LongStorage
        return ("storage", kind, value.key, "cpu", value.tensor.numel(), None)

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, torch.Tensor):
            storage = _Storage(value.contiguous(), str(len(self.storages)))
            self.storages.append(storage)
            places = (storage, 0, tuple(value.shape), tuple(value.contiguous().stride()))
            self.save_reduce(torch._utils._rebuild_tensor, places, obj=value)
        else:
            super().save(value, save_persistent_id)


def save_as_python_2(content: Any, path: Path) -> Path:
    """A checkpoint as torch 0.1 on Python 2 saved it, which is no archive."""
    told: dict[str, Any] = {"protocol_version": _PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}
    out = io.BytesIO()
    for part in (_MAGIC, _PROTOCOL, told):
        _Python2Pickler(out).dump(part)
    pickler = _Python2Pickler(out)
    pickler.dump(content)
    _Python2Pickler(out).dump([storage.key for storage in pickler.storages])
    for storage in pickler.storages:
        out.write(struct.pack("<q", storage.tensor.numel()) + storage.tensor.numpy().tobytes())
    path.write_bytes(out.getvalue())
    return path


def checkpoint(
    network: Any, path: Path, change: Callable[[dict[str, Any]], None] = lambda state: None, **options: Any
) -> Path:
    """As DSB2017's training saves it; with further options that it was run with."""
    state = OrderedDict(
        (name, value) for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")
    )
    change(state)
    # The folder's name is of no code page that Python 3 would guess.
    told = argparse.Namespace(model="net", lr=0.01, resume="", **options)
    return save_as_python_2({"epoch": 117, "save_dir": "r\xe9sultats", "state_dict": state, "args": told}, path)


def drawn(kind: Any) -> Any:
    """A network with weights of every sign, and statistics of batches, which the answer depends on."""
    torch.manual_seed(0)
    network = kind().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.dtype == torch.float32:
                value.normal_(std=0.2 if value.dim() < 2 else (2 / value[0].numel()) ** 0.5)
    return network


NETWORKS = {
    "grt123": ("grt123", lambda: AnchorNet(GRT123), 5_383_623, (10, 30, 60)),
    "residual": ("deeplung", lambda: AnchorNet(GRT123), 5_383_623, (5, 10, 20)),
    "dual-path": ("deeplung", DualPathNet, 1_360_673, (5, 10, 20)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_of_python_2_becomes_a_package_that_answers_as_the_network(name: str, tmp_path: Path) -> None:
    format, kind, parameters, anchors = NETWORKS[name]
    network = drawn(kind)
    assert sum(value.numel() for value in network.parameters()) == parameters
    package: ModelPackage = add(checkpoint(network, tmp_path / "detector.ckpt"), format)
    one = package.manifest.passes[0]
    assert one.decoder.kind == "anchors"
    assert one.decoder.anchors == anchors
    assert one.tiling.join == "crop"
    assert (one.tiling.patch, one.tiling.margin) == ((208,) * 3, (32,) * 3)
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 1, 48, 32, 64)).astype(np.float32)
    place = rng.uniform(-0.5, 0.5, (1, 3, 12, 8, 16)).astype(np.float32)
    with torch.inference_mode(), open_package(package, precision="float32", backend="onnxruntime") as session:
        expected = network(torch.from_numpy(image), torch.from_numpy(place)).numpy()
        (found,) = session.passes["nodules"].run({"image": image, "coordinates": place}).values()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_its_preparation_is_the_recipes(tmp_path: Path) -> None:
    """lum = uint8(clip((HU + 1200) / 1800, 0, 1) · 255), then (lum − 128) / 128."""
    package = add(checkpoint(drawn(NETWORKS["grt123"][1]), tmp_path / "detector.ckpt"), "grt123")
    clip, scale = package.manifest.passes[0].prepare.intensity
    assert clip.op == "clip"
    assert scale.op == "scale"
    for hu in (-2000, -1200, -300, 0, 600, 3000):
        lum = np.clip((hu + 1200) / 1800, 0, 1) * 255
        value = (np.clip(hu, clip.low, clip.high) - scale.subtract) / scale.divide
        assert value == pytest.approx((lum - 128) / 128, abs=1e-6)
    assert package.manifest.passes[0].tiling.pad == (170 - 128) / 128


def test_its_candidates_are_those_of_the_network_through_medtrain(tmp_path: Path) -> None:
    """Balls in noise, in two tiles: split by grt123's description, decoded by medtrain, beside a run of the package."""
    network = drawn(NETWORKS["grt123"][1])
    rng = np.random.default_rng(1)
    place = np.indices(SHAPE).reshape(3, -1).T
    near = min_distance(place, rng.uniform(8, np.array(SHAPE) - 8, (4, 3))).reshape(SHAPE)
    hu = np.where(near < 5, 30, -850) + rng.normal(0, 40, SHAPE)
    luminance = (np.clip(hu, -1200, 600) + 1200) / 1800 * 255
    with torch.no_grad():
        # Scores that are far from each other, and small cubes, of which not all fall to suppression.
        network.output[2].weight *= 0.2
        network.output[2].bias[:] = torch.tensor([0, 0, 0, 0, -1.5]).repeat(3)
        logits = by_description(network, luminance, (10, 30, 60))[:, 0]
        network.output[2].weight[::5] /= float(logits.std())
        network.output[2].bias[::5] = -float(logits.mean() / logits.std())
    package = in_small_tiles(add(checkpoint(network, tmp_path / "detector.ckpt"), "grt123"))
    one = package.manifest.passes[0]
    assert one.decoder.kind == "anchors"
    expected = by_description(network, luminance, one.decoder.anchors)
    threshold = float(np.quantile(expected[:, 0], 0.97))
    expected = expected[expected[:, 0] > threshold]
    expected = expected[nms_cubes(expected, one.decoder.nms_iou)]
    volume = Volume(hu.astype(np.float32), Grid(SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0])), "balls", "CT")
    with open_package(package, precision="float32", backend="onnxruntime") as session:
        found = run(volume, package, session, threshold=1 / (1 + np.exp(-threshold))).boxes
    assert 5 < len(found) == len(expected)
    centres = [volume.grid.to_index(box.center_ras) for box in found]
    np.testing.assert_allclose([box.score for box in found], 1 / (1 + np.exp(-expected[:, 0])), atol=1e-4)
    np.testing.assert_allclose(centres, expected[:, 1:4], atol=1e-4 * max(SHAPE))
    np.testing.assert_allclose([box.diameter_mm for box in found], expected[:, 4], rtol=1e-4)


SHAPE, SIDE, MARGIN, STRIDE = (28, 32, 60), 32, 16, 4


def min_distance(points: Any, centres: Any) -> Any:
    return np.min([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=0)


def in_small_tiles(package: ModelPackage) -> ModelPackage:
    """The package for a scan without lungs, in tiles that a test has time for; the rest as it is."""
    path = package.folder / "model.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    prepare, tiling = data["passes"][0]["prepare"], data["passes"][0]["tiling"]
    prepare.update(region={"kind": "whole"}, minimum_mm=[1, 1, 1])
    tiling.update(patch=[SIDE + 2 * MARGIN] * 3, margin=[MARGIN] * 3)
    path.write_text(json.dumps(data), encoding="utf-8")
    return load_package(package.folder)


def by_description(network: Any, luminance: Any, anchors: Any) -> Any:
    """Candidates [n, 5] as `medtrain` decodes them, highest first, before suppression: padded by the margin, in cubes
    one side apart, of whose answers the margin is dropped (steps 4 and 5 of the recipe)."""
    counts = [-(-n // SIDE) for n in SHAPE]
    after = [count * SIDE - n + MARGIN for count, n in zip(counts, SHAPE, strict=True)]
    image = np.pad(luminance, [(MARGIN, end) for end in after], constant_values=170)
    cells = np.pad(
        coordinate_grid(SHAPE, STRIDE), [(0, 0), *((MARGIN // STRIDE, end // STRIDE) for end in after)], mode="edge"
    )
    answers = np.zeros([*(count * SIDE // STRIDE for count in counts), len(anchors), 5])
    for tile in np.ndindex(*counts):
        seen = tuple(slice(n * SIDE, (n + 1) * SIDE + 2 * MARGIN) for n in tile)
        own = tuple(slice(n * SIDE // STRIDE, (n + 1) * SIDE // STRIDE) for n in tile)
        where = cells[(slice(None), *(slice(a.start // STRIDE, a.stop // STRIDE) for a in seen))]
        voxels = ((image[seen] - 128) / 128).astype(np.float32)
        with torch.inference_mode():
            answer = network(torch.from_numpy(voxels)[None, None], torch.from_numpy(where)[None])[0].numpy()
        core = slice(MARGIN // STRIDE, -MARGIN // STRIDE)
        answers[own] = answer[core, core, core]
    found = decode(answers, anchors, STRIDE, -10.0)
    inside = (found[:, 1:4] >= -0.5) & (found[:, 1:4] <= np.array(SHAPE) - 0.5)
    return found[inside.all(axis=1)]


@pytest.mark.real
def test_the_published_tensors_are_those_of_the_network(test_data: Path) -> None:
    shapes = json.loads((test_data / "weights" / "nodule_anchor_net_state_dict_shapes.json").read_text())
    own = {name: list(value.shape) for name, value in AnchorNet(GRT123).state_dict().items()}
    assert own == {name: list(shape) for name, shape in shapes.items()}
    assert len(own) == 284


def test_a_detector_is_known_by_its_tensors_and_its_trainings_options(tmp_path: Path) -> None:
    """Read as text: no torch is needed, and nothing is opened."""
    residual, dual_path = (drawn(NETWORKS[name][1]) for name in ("residual", "dual-path"))
    assert detector_format(checkpoint(dual_path, tmp_path / "dual-path.ckpt")) == "deeplung"
    # Only DeepLung's training has this option.
    told = checkpoint(residual, tmp_path / "residual.ckpt", testthresh=-3)
    assert detector_format(told) == "deeplung"
    torch.save({"state_dict": dual_path.state_dict()}, tmp_path / "saved-again.ckpt")
    assert detector_format(tmp_path / "saved-again.ckpt") == "deeplung"
    either = checkpoint(residual, tmp_path / "either.ckpt")
    with pytest.raises(PackageError, match=r"same tensors: add it with --format grt123 .* or --format deeplung"):
        add(either)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(told.read_bytes()[:400])
    assert detector_format(cut) is None
    assert add(told).id == "deeplung-nodules"


class Runs:
    """Runs code where a pickle with it is loaded."""

    def __init__(self, trap: Path) -> None:
        self._trap = trap

    def __reduce__(self) -> Any:
        return (Path.touch, (self._trap,))


@pytest.mark.parametrize(("spoil", "sentence"), [
    (lambda state: state.pop("output.2.bias"), "does not fit the network of grt123"),
    (lambda state: state.update(more=torch.zeros(2)), "does not fit the network of grt123"),
    (lambda state: state.update({"output.2.bias": torch.zeros(10)}), "does not fit the network of grt123"),
    (lambda state: state.pop("preBlock.0.weight"), "is no detector of grt123: its tensors are"),
    (lambda state: state.clear(), "holds no weights of a network"),
])
def test_other_tensors_are_refused_in_one_sentence(
    tmp_path: Path, own_library: Path, spoil: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    path = checkpoint(drawn(NETWORKS["grt123"][1]), tmp_path / "detector.ckpt", spoil)
    with pytest.raises(PackageError, match=sentence) as told:
        add(path, "grt123")
    assert "\n" not in str(told.value)
    assert not list(own_library.iterdir())


def test_foreign_types_in_a_checkpoint_are_refused_and_nothing_is_run(tmp_path: Path, own_library: Path) -> None:
    trap = tmp_path / "trap"
    path = save_as_python_2({"state_dict": {"weight": torch.zeros(1)}, "args": Runs(trap)}, tmp_path / "detector.ckpt")
    with pytest.raises(PackageError, match=r"cannot be opened safely .* nothing in it was run"):
        add(path, "grt123")
    assert not trap.exists()
    (tmp_path / "no.ckpt").write_bytes(b"404: Not Found")
    with pytest.raises(PackageError, match="cannot be opened safely"):
        add(tmp_path / "no.ckpt", "deeplung")
    with pytest.raises(PackageError, match="a checkpoint of PyTorch in its old format"):
        add(path)
    assert not list(own_library.iterdir())
