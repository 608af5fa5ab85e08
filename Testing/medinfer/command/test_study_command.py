"""A study given to the shell command: what the model was made for is run, the rest is a note and no failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ct_slices import changed, save, stack

from medinfer.command.cli import main


def test_the_ct_of_a_study_is_run_and_the_pt_is_told(
    tmp_path: Path, blob_package: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model, out = tmp_path / "study", blob_package(), tmp_path / "out"
    heights = 2.5 * np.arange(12)
    pet = changed(stack(heights), Modality="PT", SeriesInstanceUID="1.2.9", SeriesNumber=5, SeriesDescription="PET")
    save(folder / "pt", pet)

    def detect() -> int:
        return main(["detect", "--no-scene", str(folder), "-o", str(out), "--model", str(model)])

    assert detect() == 1
    assert "study-pt is PT" in capsys.readouterr().err

    ct = stack(heights)
    for data in ct:  # some air around a body
        data.PixelData = np.where(np.arange(480) % 20 < 10, 24, 1064).astype("<u2").tobytes()
    save(folder / "ct", ct)
    assert detect() == 0
    said = capsys.readouterr().out
    assert "study-pt: note: it is PT, which this model was not made for; it was not run" in said
    assert {path.name for path in out.iterdir()} == {"study-ct"}
