"""Looking at a network before it is added: what it tells, what words are usual, and what it would see of a scan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from two_balls import SIZE, draw_balls

from medinfer.command.cli import OK, REFUSED, main
from medinfer.errors import PackageError
from medinfer.importers.bare_fields import FIELDS
from medinfer.importers.bare_network import Facts
from medinfer.importers.looking import bare_network, look_over
from medinfer.library.places import user_folder
from medinfer.scans.writing import write_volume

WORDS = {
    "labels": "liver,spleen", "modality": "MR", "spacing": "2", "orientation": "RAS", "axes": "xyz",
    "intensity": "clip -1000 1000 to -1..1",
}


def options(words: dict[str, str]) -> list[str]:
    return [part for name, said in words.items() for part in (f"--{name}", said)]


def nothing_installed() -> bool:
    return not user_folder().exists() or list(user_folder().iterdir()) == []


@pytest.fixture
def three(tmp_path: Path) -> Facts:
    """A network of three channels that gives scores."""
    return Facts(tmp_path / "net.onnx", (None, 1, 32, 32, 32), 3, 32, "softmax", 1)


def test_a_network_is_described_by_what_it_tells_and_nothing_is_installed(
    default_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", str(default_export), "--describe", "--json"]) == OK
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (network,) = [event for event in told if event["event"] == "network"]
    assert (network["channels"], network["activation"]) == (3, "softmax")
    assert network["declared"][2:] == [SIZE] * 3
    lines = [event["text"] for event in told if event["event"] == "message"]
    assert any(line.split() == ["--labels", "must", "be", "said"] for line in lines)
    assert any(line.split() == ["--patch", "32,32,32"] for line in lines)
    assert nothing_installed()


def test_a_network_in_an_archive_is_described_as_well(default_export: Path, tmp_path: Path) -> None:
    inside = tmp_path / "net" / "inside"
    inside.mkdir(parents=True)
    for path in (default_export, default_export.with_name("model.onnx.data")):
        shutil.copy(path, inside)
    archive = Path(shutil.make_archive(str(tmp_path / "net"), "zip", inside.parent))
    assert bare_network(archive).channels == bare_network(inside).channels == 3


def test_what_a_network_would_see_is_drawn_and_nothing_is_installed(
    default_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    write_volume(draw_balls(), tmp_path / "balls.nii.gz")
    picture = tmp_path / "seen.png"
    asked = ["--preview", str(tmp_path / "balls.nii.gz"), "--picture", str(picture)]
    assert main(["add", str(default_export), *options(WORDS), *asked]) == OK
    said = capsys.readouterr().out
    assert "voxels of 2 × 2 × 2 mm (x, y, z), values -1 to 1, median 0" in said
    assert "nothing was installed" in said
    assert nothing_installed()
    grey = np.asarray(Image.open(picture))
    # The middle slice across z cuts the dark ball 6 mm beside its centre; the bright one is 20 mm away from it.
    assert grey[0, 0] == 127
    assert grey.min() == 0
    assert grey.max() == 127


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--picture", "a.png"], "--picture names the file for the picture of --preview SCAN"),
        (["--preview", "none.nii.gz"], "none.nii.gz"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    default_export: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", str(default_export), *options(WORDS), *words]) == REFUSED
    assert sentence in capsys.readouterr().err
    assert nothing_installed()


def test_a_package_has_nothing_to_be_asked(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(PackageError, match=r"has a model\.json, which says all that"):
        bare_network(tmp_path)


def test_what_is_usual_follows_what_was_said(three: Facts) -> None:
    assert set(look_over(three, {}).usual) == {field.name for field in FIELDS}
    plain, monai = (look_over(three, {"labels": "a,b", **more}).usual for more in ({}, {"like": "monai"}))
    assert [plain[name] for name in ("axes", "orientation", "overlap", "spread")] == ["zyx", "LPS", "0.5", "even"]
    assert [monai[name] for name in ("axes", "orientation", "overlap", "spread")] == ["xyz", "RAS", "0.25", "last"]
    assert (plain["activation"], plain["title"]) == ("softmax", "Net")


@pytest.mark.parametrize(
    ("words", "field", "sentence"),
    [
        ({}, "labels", "What are its 3 channels called"),
        ({"labels": "a,b", "spacing": "1,2"}, "spacing", "must be one or three numbers above 0"),
        ({"labels": "a"}, "labels", "name channel 2 too"),
        ({"labels": "a,b,c"}, "labels", "up to the number 3"),
        ({"labels": "a,b", "task": "landmark"}, "labels", "gives a channel per label (3)"),
        ({"labels": "a,b", "patch": "64"}, "patch", "takes tiles of 32×32×32"),
        ({"labels": "a,b", "mirror": "i"}, "mirror", "must be axes with commas between them"),
    ],
)
def test_what_is_wrong_is_told_of_its_field(three: Facts, words: dict[str, str], field: str, sentence: str) -> None:
    wrong = look_over(three, words).wrong
    assert list(wrong) == [field]
    assert sentence in wrong[field]


def test_what_fits_is_not_wrong(three: Facts) -> None:
    assert look_over(three, {"labels": "a,b", "mirror": "z,x"}).wrong == {}
    assert look_over(three, {"labels": "a,b,c", "activation": "sigmoid"}).wrong == {}
