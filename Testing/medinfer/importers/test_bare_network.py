"""`medinfer add` for a network without a model.json: from torch's default export to a result in the right place."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from two_balls import BALLS, SIZE, draw_balls, save_torchscript

from medinfer.command import cli
from medinfer.command.cli import OK, REFUSED, main
from medinfer.errors import Cancelled, PackageError
from medinfer.importers.adding import add
from medinfer.importers.intensity_words import intensity_steps
from medinfer.importers.questions import Given
from medinfer.library.library import find_package
from medinfer.library.places import user_folder
from medinfer.manifest import Manifest
from medinfer.scans.writing import write_volume

WORDS = {
    "labels": "liver,spleen", "modality": "MR", "spacing": "2", "orientation": "RAS", "axes": "xyz",
    "intensity": "clip -1000 1000 to -1..1",
}


def options(**words: str) -> list[str]:
    return [part for name, said in words.items() for part in (f"--{name}", said)]


def nothing_installed() -> bool:
    return not user_folder().exists() or list(user_folder().iterdir()) == []


def copy_of(default_export: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (default_export, default_export.with_name("model.onnx.data")):
        shutil.copy(path, folder)
    return folder / "model.onnx"


def found_by(model: str, folder: Path) -> dict[str, tuple[np.ndarray, float]]:
    """Centre (RAS mm) and volume (mm³) of each label that the installed model finds in the two balls."""
    write_volume(draw_balls(), folder / "balls.nii.gz")
    ran = ["segment", str(folder / "balls.nii.gz"), "-o", str(folder / model), "--model", model, "--threads", "1"]
    assert main([*ran, "--overlap", "0.2"], outputs={}) == OK
    rows = csv.DictReader((folder / model / "balls" / f"{model}.csv").open())
    return {
        row["label"]: (np.array([float(row[axis]) for axis in ("r_mm", "a_mm", "s_mm")]), float(row["volume_mm3"]))
        for row in rows
    }


@pytest.mark.parametrize(("axes", "moved"), [("xyz", [2 * np.cos(0.2), 2 * np.sin(0.2), 0]), ("zyx", [0, 0, 2])])
def test_torch_s_default_export_is_added_with_one_command_and_finds_what_is_there(
    default_export: Path, tmp_path: Path, axes: str, moved: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", str(default_export), *options(**{**WORDS, "axes": axes, "id": "balls"})]) == OK
    said = capsys.readouterr().out
    for words in ("tiles of 32×32×32", "3 channels", "so activation softmax", "medinfer segment SCAN -o FOLDER"):
        assert words in said
    found = found_by("balls", tmp_path)
    assert list(found) == list(BALLS)
    for label, (center, radius, _) in BALLS.items():
        place, volume = found[label]
        # The network answers one voxel (2 mm) too far along its first axis.
        np.testing.assert_allclose(place, np.array(center) + moved, atol=0.3)
        assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.06)


def test_its_weights_are_declared_as_they_came(default_export: Path) -> None:
    package = add(default_export, given=Given(WORDS))
    ((file, path),) = package.verified_files()
    assert (file.path, [entry.path for entry in file.data]) == ("model.onnx", ["model.onnx.data"])
    assert path.read_bytes() == default_export.read_bytes()
    one = package.manifest.passes[0]
    assert one.tiling.join == "blend"
    assert (one.tiling.patch, one.tiling.overlap) == ((SIZE,) * 3, 0.5)
    assert (one.prepare.axes, one.prepare.orientation, one.prepare.spacing) == ("xyz", "RAS", (2, 2, 2))
    assert [step.op for step in one.prepare.intensity] == ["clip", "scale"]


@pytest.mark.parametrize("kind", ["folder", "zip", "folder in a zip"])
def test_a_folder_or_archive_with_one_network_is_taken_as_well(default_export: Path, tmp_path: Path, kind: str) -> None:
    source = copy_of(default_export, tmp_path / "net" / "inside").parent
    if kind != "folder":
        root = source if kind == "zip" else source.parent
        source = Path(shutil.make_archive(str(tmp_path / "net"), "zip", root))
    assert add(source, given=Given(WORDS)).manifest.id == "model"


def test_the_ways_of_the_library_that_it_was_trained_with_are_the_defaults(default_export: Path) -> None:
    said = {"labels": "liver,spleen", "modality": "MR"}
    monai, nnunet, own = (
        add(default_export, given=Given({**said, "like": like, **more})).manifest.passes[0]
        for like, more in [("monai", {}), ("nnunet", {}), ("monai", {"orientation": "LPS", "weights": "gaussian"})]
    )
    assert (monai.prepare.orientation, monai.prepare.axes, monai.prepare.resampling.align) == ("RAS", "xyz", "monai")
    assert (nnunet.prepare.orientation, nnunet.prepare.axes, nnunet.prepare.region.kind) == (None, "zyx", "nonzero")
    assert nnunet.prepare.resampling.interpolation == "cubic"
    tilings = [one.tiling for one in (monai, nnunet, own)]
    assert [(entry.weights, entry.spread, entry.overlap) for entry in tilings] == [
        ("constant", "last", 0.25), ("nnunet", "even", 0.5), ("gaussian", "last", 0.25),
    ]
    assert [one.decoder.decide for one in (monai, nnunet)] == ["probabilities", "logits"]
    assert [one.network.mirror for one in (monai, nnunet)] == [(), ()]
    assert own.prepare.orientation == "LPS"


@pytest.mark.parametrize(
    ("words", "axes"), [("none", ()), ("x", ("i",)), ("z,x", ("k", "i")), ("x, y, z", ("k", "j", "i"))]
)
def test_the_axes_along_which_it_sees_mirrored_tiles_are_named_as_a_scan_s(
    words: str, axes: tuple[str, ...], default_export: Path
) -> None:
    package = add(default_export, given=Given({**WORDS, "mirror": words}))
    assert set(package.manifest.passes[0].network.mirror) == set(axes)


def test_a_torchscript_network_takes_tiles_of_any_size_and_is_added_likewise(tmp_path: Path) -> None:
    save_torchscript(tmp_path / "Two balls.pt")
    package = add(tmp_path / "Two balls.pt", given=Given(WORDS))
    one = package.manifest.passes[0]
    assert (package.id, package.manifest.title) == ("two-balls", "Two balls")
    assert one.network.files[0].path == "network.pt"
    assert one.tiling.join == "blend"
    assert one.tiling.patch == (96, 96, 96)
    assert one.decoder.kind == "segments"
    assert one.decoder.activation == "softmax"


class Last(torch.nn.Module):
    """One convolution and what follows; `kind` says what."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.conv, self.kind = torch.nn.Conv3d(1, channels, 3, padding=1), kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        if self.kind == "sigmoid":
            return torch.sigmoid(y)
        if self.kind == "softmax":
            return torch.softmax(y, 1)
        if self.kind == "dead":
            return y * 0
        if self.kind == "half":
            return torch.nn.functional.avg_pool3d(y, 2)
        if self.kind == "classes":
            return y.mean([2, 3, 4])
        return y.permute(0, 2, 3, 4, 1) if self.kind == "last" else y


@pytest.mark.parametrize(("channels", "kind", "labels", "activation"), [
    (1, "none", "a", "sigmoid"), (1, "sigmoid", "a", "none"), (3, "none", "a,b", "softmax"),
    (3, "softmax", "a,b", "none"),
])
def test_what_a_trial_shows_is_the_default_of_the_activation(
    tmp_path: Path, channels: int, kind: str, labels: str, activation: str
) -> None:
    path = save_torchscript(tmp_path / "net.pt", Last(channels, kind))
    decoder = add(path, given=Given({"labels": labels})).manifest.passes[0].decoder
    assert decoder.kind == "segments"
    assert decoder.activation == activation


@pytest.mark.parametrize(("kind", "fact"), [
    ("half", ("stride", 2)), ("last", ("layout", "channels_last")),
])
def test_a_coarser_output_and_channels_at_the_end_are_seen(tmp_path: Path, kind: str, fact: tuple[str, Any]) -> None:
    one = add(save_torchscript(tmp_path / "net.pt", Last(3, kind)), given=Given({"labels": "a,b"})).manifest.passes[0]
    told = {"stride": one.stride, "layout": one.network.layout}
    assert told[fact[0]] == fact[1]


def test_labels_may_overlap_with_a_sigmoid_each_and_landmarks_have_a_channel_each(tmp_path: Path) -> None:
    path = save_torchscript(tmp_path / "net.pt", Last(3, "none"))
    words = {"labels": "a,b,c", "activation": "sigmoid"}
    assert add(path, given=Given(words)).manifest.passes[0].network.channels == 3
    points = add(path, given=Given({"labels": "a,b,c", "task": "landmark"})).manifest
    assert (points.task, points.passes[0].decoder.kind, points.result[0].kind) == ("landmark", "heatmap", "points")
    boxes = add(path, given=Given({"labels": "2=b", "task": "detect"})).manifest
    assert (boxes.passes[0].decoder.kind, boxes.labels[0].value) == ("labels", 2)


@pytest.mark.real
def test_real_torchscript_networks_are_added(test_data: Path) -> None:
    brain = add(test_data / "networks" / "brain_extraction_torchscript" / "model.pt",
                given=Given({"labels": "brain", "modality": "MR"})).manifest.passes[0]
    assert (brain.network.channels, brain.decoder.kind) == (2, "segments")
    spleen = add(test_data / "weights" / "spleen_unet_torchscript.pt", given=Given({
        "labels": "spleen", "spacing": "1.5,1.5,2", "orientation": "RAS", "axes": "xyz",
        "intensity": "clip -57 164, scale 0..1",
    })).manifest.passes[0]
    assert (spleen.prepare.spacing, spleen.prepare.axes) == ((2, 1.5, 1.5), "xyz")
    assert spleen.decoder.kind == "segments"
    assert spleen.decoder.activation == "softmax"


# What is refused: how the source is made (in a folder, from torch's default export), the options, and the sentence.


def onnx_of(inputs: Sequence[Sequence[Any]], output: Sequence[Any] = ("b", 1, "k", "j", "i")) -> Callable[..., Path]:
    def make(folder: Path, default_export: Path) -> Path:
        values = [helper.make_tensor_value_info(f"in{n}", TensorProto.FLOAT, shape) for n, shape in enumerate(inputs)]
        result = helper.make_tensor_value_info("out", TensorProto.FLOAT, output)
        graph = helper.make_graph([helper.make_node("Sum", [v.name for v in values], ["out"])], "g", values, [result])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / "net.onnx")
        return folder / "net.onnx"

    return make


def torchscript_of(channels: int, kind: str) -> Callable[..., Path]:
    return lambda folder, default_export: save_torchscript(folder / "net.pt", Last(channels, kind))


def damaged(harm: Callable[[Path, Path], Any]) -> Callable[..., Path]:
    """harm: (graph, weights)."""

    def make(folder: Path, default_export: Path) -> Path:
        graph = copy_of(default_export, folder)
        harm(graph, folder / "model.onnx.data")
        return graph

    return make


def as_it_is(folder: Path, default_export: Path) -> Path:
    return default_export


def state_dict(folder: Path, default_export: Path) -> Path:
    torch.save(Last(1, "none").state_dict(), folder / "net.pth")
    return folder / "net.pth"


class Evil:
    def __reduce__(self) -> Any:
        return Path.write_text, (Path(EVIL), "ran")


EVIL = "evil-was-here"


def pickle_with_code(folder: Path, default_export: Path) -> Path:
    (folder / "net.pt").write_bytes(pickle.dumps(Evil()))
    return folder / "net.pt"


def archive_with_code(folder: Path, default_export: Path) -> Path:
    """Looks like TorchScript, and has a pickle with code in it."""
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/constants.pkl", pickle.dumps(Evil()))
        archive.writestr("net/data.pkl", pickle.dumps(Evil()))
        archive.writestr("net/version", "3\n")
    return folder / "net.pt"


def two_networks(folder: Path, default_export: Path) -> Path:
    copy_of(default_export, folder)
    save_torchscript(folder / "net.pt")
    return folder


REFUSALS: dict[str, tuple[Callable[[Path, Path], Path], dict[str, str], str]] = {
    "labels for several channels": (as_it_is, {}, "gives 3 channels and does not say what they mean; add --labels"),
    "an activation that cannot be seen": (torchscript_of(3, "dead"), {"labels": "a,b"}, "add --activation WORD ("),
    "both": (torchscript_of(3, "dead"), {}, ", and --activation WORD ("),
    "too few labels": (as_it_is, {"labels": "liver"}, "name channel 2 too"),
    "too many labels": (as_it_is, {"labels": "a,b,c"}, "name 2, or give --activation sigmoid"),
    "a label beyond": (as_it_is, {"labels": "1=a,7=b"}, "up to the number 7"),
    "labels for landmarks": (as_it_is, {"labels": "a,b", "task": "landmark"}, "a channel per label (3), but --labels"),
    "one name twice": (as_it_is, {"labels": "a,a"}, "--labels must have distinct names"),
    "names half numbered": (as_it_is, {"labels": "1=a,b"}, "--labels must give every name a number or none"),
    "an unknown activation": (as_it_is, {**WORDS, "activation": "relu"}, "--activation must be none, sigmoid or"),
    "softmax of one": (torchscript_of(1, "none"), {"activation": "softmax"}, "must be none or sigmoid"),
    "an unknown order": (as_it_is, {**WORDS, "axes": "xzz"}, "--axes must be zyx, xyz, "),
    "an unknown task": (as_it_is, {**WORDS, "task": "classify"}, "--task must be segment, landmark or detect"),
    "an orientation": (as_it_is, {**WORDS, "orientation": "RLS"}, "--orientation must be three letters"),
    "a spacing": (as_it_is, {**WORDS, "spacing": "1,2"}, "--spacing must be one or three numbers above 0"),
    "a patch that does not fit": (as_it_is, {**WORDS, "patch": "64"}, "takes tiles of 32×32×32 (x, y, z) alone"),
    "intensity": (as_it_is, {**WORDS, "intensity": "clip -57"}, "--intensity does not know 'clip -57'; write"),
    "an id": (as_it_is, {**WORDS, "id": "My Model"}, "--id must be small letters, digits and hyphens"),
    "weights that are missing": (damaged(lambda graph, data: data.unlink()), WORDS, "is missing beside it: copy that"),
    "weights cut short": (damaged(lambda graph, data: data.write_bytes(data.read_bytes()[:99])), WORDS, "copy both"),
    "a graph cut short": (damaged(lambda graph, data: graph.write_bytes(graph.read_bytes()[:5000])), WORDS,
                          "is not a complete ONNX network"),
    "no graph": (damaged(lambda graph, data: graph.write_bytes(b"404: Not Found")), WORDS, "is not a"),
    "a flat network": (onnx_of([("b", 1, "k")], ("b", 1, "k")), WORDS, "takes any×1×any for its input “in0”, but"),
    "six axes": (onnx_of([("b", 1, 2, "k", "j", "i")], ("b", 1, 2, "k", "j", "i")), WORDS, "or one slice with two"),
    "two inputs": (onnx_of([("b", 1, "k", "j", "i")] * 2), WORDS, "takes 2 inputs (“in0”, “in1”), and which is what"),
    "four tiles at once": (onnx_of([(4, 1, "k", "j", "i")]), WORDS, "MedInfer feeds one tile (1×channels×…)"),
    "channels without names": (onnx_of([("b", 4, "k", "j", "i")]), WORDS, "takes 4 channels, gives 4 channels"),
    "names for other channels": (onnx_of([("b", 4, "k", "j", "i")]), {**WORDS, "images": "T1,T2"}, "channels, but"),
    "one image twice": (as_it_is, {**WORDS, "images": "T1,T1"}, "--images must be distinct names"),
    "only what is ignored": (as_it_is, {**WORDS, "labels": "ignore,ignore"}, "--labels must have distinct names"),
    "no map": (torchscript_of(3, "classes"), WORDS, "gives “output” 1×3 for a tile of 32×32×32, which is"),
    "a state dict": (state_dict, WORDS, "weights without the code of their network): the network's layers"),
    "a pickle with code": (pickle_with_code, WORDS, "may run code when it is opened"),
    "an archive with code": (archive_with_code, WORDS, "is not a usable torchscript network"),
    "two networks": (two_networks, WORDS, "has no model.json, and several networks (model.onnx, net.pt); add one"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_is_one_sentence_and_leaves_nothing(
    name: str, default_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words, sentence = REFUSALS[name]
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = make(tmp_path, default_export)
        assert main(["add", str(source), *options(**words)]) == REFUSED
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert said.count(". ") == 0
    assert nothing_installed()
    assert not Path(EVIL).exists()


def test_a_package_needs_no_words(default_export: Path, tmp_path: Path) -> None:
    package = add(default_export, given=Given(WORDS))
    with pytest.raises(PackageError, match=r"has a model\.json, which says all that; leave out --labels, --modality"):
        add(shutil.copytree(package.folder, tmp_path / "copy"), given=Given(WORDS))


def test_what_is_not_wanted_any_more_is_not_installed(default_export: Path) -> None:
    with pytest.raises(Cancelled, match="stopped; nothing was installed"):
        add(default_export, given=Given(WORDS), cancel=lambda: True)
    assert nothing_installed()


def test_one_id_replaces_the_same_as_before(default_export: Path) -> None:
    add(default_export, given=Given({**WORDS, "id": "balls"}))
    add(default_export, given=Given({**WORDS, "id": "balls", "labels": "a,b"}))
    assert [label.name for label in find_package("balls").manifest.labels] == ["a", "b"]


def test_on_a_terminal_it_asks_what_was_not_said_and_enter_takes_the_default(default_export: Path) -> None:
    asked: list[str] = []
    answers = iter(["", "", "liver,liver", "liver,spleen", "", "MR", "two", "2", "", "xyz", "", ""])
    said: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    with pytest.raises(PackageError, match="name channel 2 too"):
        add(default_export, given=Given({}, lambda question: "liver" if "channels" in question else "", said.append))
    manifest: Manifest = add(default_export, given=Given({"orientation": "RAS"}, ask, said.append)).manifest
    assert [label.name for label in manifest.labels] == ["liver", "spleen"]
    assert manifest.passes[0].prepare.model_dump()["spacing"] == (2, 2, 2)
    assert "What does it find: segment (objects), landmark (points) or detect (boxes)? [segment] " in asked
    assert "What are its 3 channels called, without the background (liver,spleen)? " in asked
    assert not any("directions" in question for question in asked), "it was said"
    assert "--spacing must be one or three numbers above 0 (1.5,1.5,2), not 'two'." in said


def test_the_end_of_the_input_ends_the_questions_and_nothing_is_installed(
    default_export: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(question: str) -> str:
        raise Cancelled("stopped; nothing was installed")

    monkeypatch.setattr("medinfer.command.terminal.asker", lambda stopped: ended)
    assert main(["add", str(default_export)]) == cli.STOPPED
    assert "nothing was installed" in capsys.readouterr().err
    assert nothing_installed()


@pytest.mark.parametrize(("words", "steps"), [
    ("none", []),
    ("zscore", [{"op": "zscore"}]),
    ("range, times 2 plus -1", [{"op": "range"}, {"op": "scale", "subtract": 0.5, "divide": 0.5}]),
    ("zscore, times 0.5 plus 0.25", [{"op": "zscore"}, {"op": "scale", "subtract": -0.5, "divide": 2}]),
    ("clip -57 164, scale 0..1", [{"op": "clip", "low": -57, "high": 164},
                                  {"op": "scale", "subtract": -57, "divide": 221}]),
    ("percentiles 0.5 99.5, clip 0 1", [{"op": "percentiles", "low": 0.5, "high": 99.5},
                                        {"op": "clip", "low": 0, "high": 1}]),
    ("clip -1000 400 to 0..1, zscore", [{"op": "clip", "low": -1000, "high": 400},
                                        {"op": "scale", "subtract": -1000, "divide": 1400}, {"op": "zscore"}]),
])
def test_words_for_intensities(words: str, steps: list[dict[str, Any]]) -> None:
    assert intensity_steps(words) == steps


@pytest.mark.parametrize("words", ["clip -57 164 to -1..1", "percentiles 1 99, scale -1..1"])
def test_a_range_is_brought_to_another(words: str) -> None:
    *_, scale = intensity_steps(words)
    low, high = (-57, 164) if "clip" in words else (0, 1)
    ends = [(value - scale["subtract"]) / scale["divide"] for value in (low, high)]
    np.testing.assert_allclose(ends, [-1, 1])


@pytest.mark.parametrize(
    "words", ["scale 0..1", "clip 5 5", "clip 9 1", "percentiles 5 101", "clip nan 1", "", "zscore,"]
)
def test_words_that_mean_nothing_are_named(words: str) -> None:
    with pytest.raises(PackageError, match="--intensity"):
        intensity_steps(words)


def test_the_written_manifest_is_what_an_editor_can_go_on_with(default_export: Path) -> None:
    folder = add(default_export, given=Given(WORDS)).folder
    written = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert written["card"]["limits"].startswith("Not for clinical use.")
    assert written["card"]["licence"] == "LicenseRef-unknown"
