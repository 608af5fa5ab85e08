"""The evaluation of tooth packages: findings made from the truth are perfect, cut teeth count neither way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medinfer.findings import Findings
from medinfer.label_map import LabelMap
from medinfer.volume import Grid, Volume
from medtrain.evaluation.evaluate_teeth import ToothTrial, judge, main, phantom_trials
from medtrain.metrics.tooth_metrics import CANAL, figures

GRID = Grid((12, 14, 16), np.diag([-0.5, -0.5, 0.5, 1.0]))


def a_trial() -> ToothTrial:
    """Two teeth, one that the field of view cuts, and a canal."""
    teeth = np.zeros(GRID.shape, np.uint8)
    teeth[6:10, 3:6, 3:6], teeth[6:10, 3:6, 6:9] = 11, 21
    teeth[0:2, 3:6, 3:6] = 41
    canal = np.zeros(GRID.shape, bool)
    canal[3, 9, 4:12] = True
    return ToothTrial("a", Volume(np.zeros(GRID.shape, np.int16), GRID), teeth, canal, frozenset({41}))


def boxed(labels: np.ndarray, start: tuple[int, int, int]) -> Findings:
    """Findings that hold the labels from voxel `start` on."""
    part = labels[tuple(slice(first, None) for first in start)]
    return Findings(label_map=LabelMap(part, GRID.cropped(start, part.shape)))


def test_the_truth_on_a_box_of_the_scan_is_perfect() -> None:
    case = a_trial()
    labels = np.where(case.canal, CANAL, case.teeth).astype(np.uint8)
    of = figures([judge(case, boxed(labels, (2, 3, 3)))])
    assert (of.f1, of.dice, of.surface_mm, of.numbered_right, of.canal_dice) == (1, 1, 0, 1, 1)


def test_left_and_right_confused_is_found_and_numbered_wrong() -> None:
    case = a_trial()
    swapped = np.select([case.teeth == 11, case.teeth == 21], [21, 11], 0).astype(np.uint8)
    of = figures([judge(case, boxed(swapped, (0, 0, 0)))])
    assert (of.f1, of.numbered_right, of.canal_dice) == (1, 0, 0)


def test_findings_without_a_label_map_miss_everything_that_is_whole() -> None:
    score = judge(a_trial(), Findings())
    assert (score.pairs, score.missed, score.false) == ((), (11, 21), ())


def test_a_picture_is_written_for_each_scan(tmp_path: Path) -> None:
    case = a_trial()
    judge(case, boxed(case.teeth, (0, 0, 0)), tmp_path / "pictures")
    assert (tmp_path / "pictures" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_phantom_trial_has_its_truth_in_the_volume() -> None:
    (trial,) = phantom_trials(1, voxels_mm=1.0)
    assert trial.volume.shape == trial.teeth.shape == trial.canal.shape
    assert trial.volume.spacing == pytest.approx((1, 1, 1))
    there = set(np.unique(trial.teeth)) - {0}
    assert there
    assert trial.cut <= there


def test_what_cannot_be_measured_is_refused(
    blob_package: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    package = str(blob_package())
    assert main([package, "--phantoms", "1"]) == 2
    assert "blobs finds no teeth" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([package])
    assert "give --phantoms N or --real FILE" in capsys.readouterr().err
