"""`medinfer add` of networks of slices, of several images, of scans stretched to one size, and with a channel that is
not reported."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from two_balls import draw_balls, save_torchscript

from medinfer.command.cli import OK, main
from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage
from medinfer.preparation.images import with_further
from medinfer.preparation.prepare import prepare
from medinfer.volume import Volume

PLAIN = {"modality": "MR", "orientation": "own", "activation": "softmax"}


class Scores(torch.nn.Module):
    """The scores of background, of what lies above 500 and of what lies below −500 in the sum of its channels; with
    `less` in the first channel less the others. flat: of slices."""

    def __init__(self, images: int = 1, flat: bool = False, less: bool = False) -> None:
        super().__init__()
        kind = torch.nn.Conv2d if flat else torch.nn.Conv3d
        self.sum = kind(images, 3, 1)
        with torch.no_grad():
            self.sum.weight.zero_()
            self.sum.bias.copy_(torch.tensor([0.0, -5.0, -5.0]))
            for label, sign in ((1, 0.01), (2, -0.01)):
                self.sum.weight[label] = sign
                if less:
                    self.sum.weight[label, 1:] = -sign

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.sum(image)


def labels_of(package: ModelPackage, volume: Volume, **further: Volume) -> np.ndarray:
    """The label map on the scan's own voxels."""
    scan = with_further(volume, package.manifest.images, further)
    with open_package(package, threads=1, precision="float32") as session:
        findings = run(scan, package, session)
    assert findings.label_map is not None
    return findings.label_map.whole(volume).voxels


def expected(values: np.ndarray) -> np.ndarray:
    return np.where(values > 500, 1, np.where(values < -500, 2, 0))


def export_of_slices(folder: Path) -> Path:
    """As ONNX, by torch's older exporter, which needs no further weights beside it."""
    path, sizes = folder / "slices.onnx", {0: "b", 2: "y", 3: "x"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Scores(flat=True).eval(), (torch.zeros(1, 1, 32, 32),), str(path), dynamo=False, input_names=["in"],
            output_names=["out"], dynamic_axes={"in": sizes, "out": sizes},
        )
    return path


@pytest.fixture(scope="module")
def balls() -> Volume:
    return draw_balls()


@pytest.mark.parametrize("axes", ["zyx", "zxy", "xzy"])
def test_a_network_of_slices_sees_them_across_the_axis_that_was_named(
    balls: Volume, tmp_path: Path, axes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export_of_slices(tmp_path)
    words = {"labels": "high,low", "axes": axes, "spacing": "3,3,own", **PLAIN}
    said = [part for name, word in words.items() for part in (f"--{name}", word)]
    assert main(["add", str(path), *said]) == OK
    assert "slices.onnx: slices of any×any; output" in capsys.readouterr().out
    own = add(path, given=Given({**words, "spacing": "own", "id": "slices-own"}))
    one = own.manifest.passes[0]
    assert one.network.dimensions == 2
    assert one.tiling.join == "blend"
    assert one.tiling.patch["zyx".index(axes[0])] == 1
    np.testing.assert_array_equal(labels_of(own, balls), expected(balls.voxels))


def test_slices_have_the_scans_own_distance_where_that_was_said(tmp_path: Path) -> None:
    words = {"labels": "high,low", "spacing": "1.5,1.5,own", "patch": "64", **PLAIN}
    path = save_torchscript(tmp_path / "slices.pt", Scores(flat=True))
    one = add(path, given=Given(words)).manifest.passes[0]
    assert one.prepare.spacing == (None, 1.5, 1.5)
    assert one.tiling.join == "blend"
    assert one.tiling.patch == (1, 64, 64)
    assert add(path, given=Given({**words, "like": "monai"})).manifest.passes[0].prepare.axes == "zxy"


def test_several_images_come_in_the_order_that_was_named(balls: Volume, tmp_path: Path) -> None:
    path = save_torchscript(tmp_path / "two.pt", Scores(images=2, less=True))
    words = {"labels": "high,low", "images": "T1 weighted,T2", "spacing": "own", **PLAIN}
    package = add(path, given=Given(words))
    assert [image.name for image in package.manifest.images] == ["T1-weighted", "T2"]
    other = replace(balls, voxels=np.roll(balls.voxels, 9, axis=2), name="other")
    found = labels_of(package, balls, T2=other)
    wanted = expected(balls.voxels.astype(float) - other.voxels)
    assert {1, 2} == set(np.unique(wanted)) - {0}
    np.testing.assert_array_equal(found, wanted)


def test_the_scan_itself_can_be_on_every_channel(balls: Volume, tmp_path: Path) -> None:
    path = save_torchscript(tmp_path / "three.pt", Scores(images=3, flat=True))
    package = add(path, given=Given({"labels": "high,low", "images": "same", "spacing": "own", **PLAIN}))
    assert package.manifest.images == ()
    np.testing.assert_array_equal(labels_of(package, balls), expected(3.0 * balls.voxels))


def test_a_channel_that_is_ignored_leaves_its_voxels_without_a_label(balls: Volume, tmp_path: Path) -> None:
    path = save_torchscript(tmp_path / "net.pt", Scores())
    package = add(path, given=Given({"labels": "ignore,low", "spacing": "own", **PLAIN}))
    found = labels_of(package, balls)
    np.testing.assert_array_equal(found, np.where(expected(balls.voxels) == 2, 2, 0))
    assert found.any()


@pytest.mark.parametrize("sampling", ["nearest", "linear"])
def test_a_scan_is_stretched_to_the_size_that_the_network_sees(balls: Volume, tmp_path: Path, sampling: str) -> None:
    path = save_torchscript(tmp_path / "net.pt", Scores())
    words = {"labels": "high,low", "shape": "36,32,22", "sampling": sampling, "clean": "largest,holes", **PLAIN}
    package = add(path, given=Given(words))
    one = package.manifest.passes[0]
    assert one.tiling.join == "blend"
    assert one.tiling.patch == (22, 32, 36)
    values = torch.from_numpy(balls.voxels.astype(np.float32))[None, None]
    kind: dict[str, Any] = {"mode": "nearest-exact"} if sampling == "nearest" else {"mode": "trilinear"}
    stretched = torch.nn.functional.interpolate(values, (22, 32, 36), **kind)
    prepared = prepare(balls, one.prepare)
    np.testing.assert_allclose(prepared.voxels, stretched[0, 0].numpy(), atol=0.01)
    if sampling == "nearest":
        labels = torch.from_numpy(expected(stretched.numpy()).astype(np.float32))
        back = torch.nn.functional.interpolate(labels, balls.shape, mode="nearest-exact")[0, 0].numpy()
        np.testing.assert_array_equal(labels_of(package, balls), back)


@pytest.mark.parametrize(("more", "sentence"), [
    ({"spacing": "2"}, "--shape fixes how many voxels"), ({"shape": "none"}, "--sampling nearest needs --shape"),
    ({"clean": "dust"}, "--clean must be largest, holes"), ({"task": "detect", "clean": "holes"}, "--clean is for"),
    ({"shape": "1.5"}, "--shape must be whole numbers"),
])
def test_what_does_not_go_with_stretching_is_said(tmp_path: Path, more: dict[str, str], sentence: str) -> None:
    words = {"labels": "high,low", "shape": "32", "sampling": "nearest", **PLAIN, **more}
    with pytest.raises(PackageError, match=sentence):
        add(save_torchscript(tmp_path / "net.pt", Scores()), given=Given(words))
