"""`medinfer segment`: any model that gives objects; `teeth` is the same with the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medinfer.command.arguments import command_for
from medinfer.command.cli import OK, REFUSED, main
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

Make = Callable[..., Path]


def test_it_runs_any_model_that_gives_objects(peas_scan: Volume, peas_package: Make, tmp_path: Path) -> None:
    write_volume(peas_scan, tmp_path / "jaw.nii.gz")
    exact = ["--backend", "onnxruntime", "--precision", "float32", "--threads", "1"]
    for command in ("segment", "teeth"):
        words = [command, str(tmp_path / "jaw.nii.gz"), "-o", str(tmp_path / command), "--model", str(peas_package())]
        assert main([*words, *exact], outputs={}) == OK
    tables = [(tmp_path / command / "jaw" / "peas.csv").read_text() for command in ("segment", "teeth")]
    assert tables[0] == tables[1]


def test_its_model_must_be_named_and_give_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["segment", "scan.nii.gz", "-o", str(tmp_path / "out")])
    assert "--model" in capsys.readouterr().err
    assert main(["segment", "scan.nii.gz", "-o", str(tmp_path / "out"), "--model", "chest-nodules"]) == REFUSED
    assert "chest-nodules is a model for `medinfer detect`, not for `medinfer segment`" in capsys.readouterr().err


def test_a_model_s_command_is_its_own_or_the_one_for_any_of_its_task() -> None:
    commands = [command_for("segment", "teeth"), command_for("segment", "liver"), command_for("detect", "mine")]
    assert commands == ["teeth", "segment", "detect"]
