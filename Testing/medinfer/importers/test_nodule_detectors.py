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

from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.inference.package_session import open_package
from medinfer.library.package import ModelPackage

torch = pytest.importorskip("torch")

from medinfer.importers.anchor_net import GRT123, AnchorNet  # noqa: E402 (needs torch)
from medinfer.importers.dual_path_net import DualPathNet  # noqa: E402

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
        data = text.encode("ascii")
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_text

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


def checkpoint(network: Any, path: Path, change: Callable[[dict[str, Any]], None] = lambda state: None) -> Path:
    """As DSB2017's training saves it."""
    state = OrderedDict(
        (name, value) for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")
    )
    change(state)
    options = argparse.Namespace(model="net", lr=0.01, resume="")
    return save_as_python_2({"epoch": 117, "save_dir": "results", "state_dict": state, "args": options}, path)


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


@pytest.mark.real
def test_the_published_tensors_are_those_of_the_network(test_data: Path) -> None:
    shapes = json.loads((test_data / "weights" / "nodule_anchor_net_state_dict_shapes.json").read_text())
    own = {name: list(value.shape) for name, value in AnchorNet(GRT123).state_dict().items()}
    assert own == {name: list(shape) for name, shape in shapes.items()}
    assert len(own) == 284


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
    with pytest.raises(PackageError, match="add it with --format grt123 or deeplung"):
        add(path)
    assert not list(own_library.iterdir())
