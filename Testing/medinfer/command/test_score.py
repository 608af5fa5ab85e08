"""`medinfer score`: results in a folder, a table of the truth, and what a user reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medinfer.command.cli import main
from medinfer.findings import Box, Findings, Landmark, Vector
from medinfer.scoring.froc import froc, match_all
from medinfer.scoring.luna16 import read_scans

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
TRUTH = "seriesuid,coordX,coordY,coordZ,diameter_mm\na,0,0,0,10\na,-50,0,0,6\n1.2.3,0,0,0,8\n"
# Scores and places (LPS mm) of the candidates of each scan; the threshold is 0.5.
CANDIDATES = {
    "a": [(0.9, (1, 0, 0)), (0.8, (2, 0, 0)), (0.7, (21, 0, 0)), (0.3, (-50, 1, 0))],
    "b": [(0.6, (30, 0, 0))],
    "healthy": [(0.4, (0, 0, 0))],
}
Score = Callable[..., tuple[int, str]]


def box(score: float, lps: tuple[float, float, float]) -> Box:
    place: Vector = (-lps[0], -lps[1], lps[2])
    return Box("Nodule", score, place, (5.0, 5.0, 5.0), AXES, 5.0)


def write_results(folder: Path, name: str, candidates: list, **fields: object) -> None:
    boxes = [box(score, place) for score, place in candidates]
    findings = Findings(**{
        "boxes": tuple(one for one in boxes if one.score > 0.5), "scan": name, "model": "m 1.0.0",
        "candidates": tuple(one for one in boxes if one.score <= 0.5), "run": {"threshold": 0.5, "floor": 0.1},
        **fields,
    })
    (folder / name).mkdir(parents=True)
    (folder / name / "findings.json").write_text(findings.to_json())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for name, candidates in CANDIDATES.items():
        write_results(folder, name, candidates, series="1.2.3" if name == "b" else "")
    return folder


@pytest.fixture
def score(tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> Score:
    def run(truth: str = TRUTH, *arguments: object, folder: Path = results) -> tuple[int, str]:
        (tmp_path / "truth.csv").write_text(truth)
        code = main(["score", str(folder), "--truth", str(tmp_path / "truth.csv"), *map(str, arguments)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_hits_findings_and_the_curve_are_those_of_lunas_tables(score: Score, tmp_path: Path) -> None:
    code, text = score()
    assert code == 0
    # By scan's name and by series.
    lines = [line.split() for line in text.splitlines()]
    assert ["a", "10.0", "0.0,", "0.0,", "0.0", "0.90", "1", "1.0", "mm"] in lines
    assert ["a", "6.0", "50.0,", "0.0,", "0.0", "0.30", "4", "1.0", "mm"] in lines
    assert ["b", "8.0", "0.0,", "0.0,", "0.0", "missed"] in lines
    # At the threshold of 0.5: findings, nodules found, false ones, excluded, double.
    assert ["a", "0.5", "3", "1", "of", "2", "1", "0", "1"] in lines
    assert ["b", "0.5", "1", "0", "of", "1", "1", "0", "0"] in lines
    assert "1 scan (healthy) with results that the truth does not name: they count as scans without a nodule" in text
    # The same through LUNA16's own tables.
    rows = [
        f"{'1.2.3' if name == 'b' else name},{x},{y},{z},{score}"
        for name, found in CANDIDATES.items() for score, (x, y, z) in found
    ]
    (tmp_path / "found.csv").write_text("\n".join(["seriesuid,coordX,coordY,coordZ,probability", *rows]))
    (tmp_path / "series.csv").write_text("a\n1.2.3\nhealthy\n")
    curve = froc(match_all(read_scans(
        annotations=tmp_path / "truth.csv", seriesuids=tmp_path / "series.csv", submission=tmp_path / "found.csv",
    )))
    assert f"CPM (mean of the seven) {curve.cpm:.3f}" in text
    _, told = score(TRUTH, "--json")
    data = json.loads(told.splitlines()[-1])
    assert data["cpm"] == pytest.approx(curve.cpm)
    assert data["sensitivity"]["0.5"] == pytest.approx(curve.at(0.5))


def test_a_scan_without_results_is_a_note_and_counts_where_that_is_asked(score: Score) -> None:
    truth = TRUTH + "absent,0,0,0,8\nalso,0,0,0,8\n"
    code, text = score(truth)
    assert code == 0
    assert "2 scans (absent, also) of the truth without results: they are left out (--count-missing" in text
    assert "Nodules: 3" in text
    code, text = score(truth, "--count-missing")
    assert code == 0
    assert "they count as scans in which nothing was found" in text
    assert "Nodules: 5" in text
    assert "Scans: 5" in text


def test_excluded_findings_are_neither_hit_nor_false(score: Score, tmp_path: Path) -> None:
    (tmp_path / "excluded.csv").write_text("seriesuid,coordX,coordY,coordZ,diameter_mm\na,20,0,0,-1\n")
    _, text = score(TRUTH, "--excluded", tmp_path / "excluded.csv", "--bootstrap", 20)
    assert "Ignored candidates on excluded findings: 1" in text
    assert "95% interval" in text


def test_where_nothing_was_found_the_sensitivity_is_zero(score: Score, tmp_path: Path) -> None:
    write_results(tmp_path / "none", "a", [])
    code, text = score(TRUTH, folder=tmp_path / "none")
    assert code == 0
    assert "CPM (mean of the seven) 0.000" in text


def test_results_of_an_older_version_end_the_curve_at_their_threshold(score: Score, tmp_path: Path) -> None:
    write_results(tmp_path / "old", "a", [(0.9, (1, 0, 0))], run={"threshold": 0.5})
    _, text = score(folder=tmp_path / "old")
    assert "1 scan (a) kept no candidates below the threshold: the curve ends there" in text


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ("seriesuid,coordX,coordY,coordZ,diameter_mm\nz,0,0,0,10\n", "None of the 1 scans of the truth (z) is among"),
        ("what,is,this\n1,2,3\n", "truth.csv is no table of nodules"),
        (TRUTH + "a,0,0\n", "truth.csv, line 5: 3 values instead of 5"),
    ],
)
def test_a_truth_that_cannot_be_compared_is_one_sentence(score: Score, truth: str, words: str) -> None:
    code, text = score(truth)
    assert code == 2
    assert words in text
    assert "Traceback" not in text


def test_results_that_cannot_be_scored_are_one_sentence(score: Score, results: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "absent"):
        assert score(folder=folder) == (2, f"error: {folder} holds no results; give the folder that `medinfer detect "
                                        "-o` wrote.\n")
    write_results(results, "other", [], model="n 1.0.0")
    assert "The results are of m 1.0.0 and n 1.0.0; score one model at a time." in score()[1]
    (results / "other" / "findings.json").write_text("{")
    assert "findings.json is damaged or of a newer MedInfer" in score()[1]
    write_results(tmp_path / "spine", "a", [], landmarks=(Landmark("L1", None, 0.1),))
    assert "which gives no boxes to score" in score(folder=tmp_path / "spine")[1]
    write_results(tmp_path / "twice", "a", [])
    write_results(tmp_path / "twice", "a-2", [], scan="a")
    assert "a and a-2 are results of one scan, a; leave one of them out." in score(folder=tmp_path / "twice")[1]
