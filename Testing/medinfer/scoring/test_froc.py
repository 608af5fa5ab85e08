"""FROC: LUNA16's published figures, its rules against plain loops, and what bad tables are told."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.errors import MedInferError
from medinfer.scoring.froc import RATES, Froc, ScanMatch, bootstrap, froc, match, match_all
from medinfer.scoring.luna16 import Candidate, Nodule, Scan, read_scans
from medinfer.scoring.tables import TableError
from medtrain.evaluation.froc_report import difference, main, read_curve

ANNOTATIONS = "seriesuid,coordX,coordY,coordZ,diameter_mm\na,0,0,0,10\na,50,0,0,6\nb,0,0,0,8\n"
EXCLUDED = "seriesuid,coordX,coordY,coordZ,diameter_mm\na,20,0,0,-1\n"
SUBMISSION = "seriesuid,coordX,coordY,coordZ,probability\na,1,0,0,0.9\na,2,0,0,0.8\na,21,0,0,0.7\nb,30,0,0,0.6\n"
SERIESUIDS = "a\nb\nc\n"


# --- the published figures -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(test_data: Path) -> Path:
    return test_data / "froc"


@pytest.fixture(scope="module")
def submission_a(published: Path) -> list[ScanMatch]:
    return match_all(read_scans(
        annotations=published / "annotations.csv", excluded=published / "annotations_excluded.csv",
        seriesuids=published / "seriesuids_88.csv", submission=published / "submission_a.csv",
    ))


@pytest.mark.real
def test_the_counts_of_submission_a_are_the_published_ones(submission_a: list[ScanMatch]) -> None:
    counts = froc(submission_a).counts
    assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (104, 986, 1)
    assert (counts.ignored, counts.double) == (358, 51)
    assert (counts.candidates, counts.nodules, counts.scans) == (1499, 105, 88)


@pytest.mark.real
def test_the_curve_of_submission_a_is_the_published_one_to_1e_6(
    submission_a: list[ScanMatch], published: Path
) -> None:
    points = np.loadtxt(published / "submission_a_published_froc.txt", delimiter=",")
    curve = froc(submission_a)
    own = np.column_stack([curve.false_positives_per_scan, curve.sensitivity, curve.thresholds])
    np.testing.assert_allclose(own, points, rtol=0, atol=1e-6)


@pytest.mark.real
def test_the_sensitivities_of_submission_a_are_those_in_the_facts(submission_a: list[ScanMatch]) -> None:
    curve = froc(submission_a)
    assert [round(curve.at(rate), 3) for rate in RATES] == [0.762, 0.876, 0.895, 0.924, 0.933, 0.981, 0.990]
    assert round(curve.cpm, 3) == 0.909


@pytest.mark.real
def test_the_command_prints_the_published_counts_and_says_that_the_curve_agrees(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([
        "--annotations", str(published / "annotations.csv"), "--excluded", str(published / "annotations_excluded.csv"),
        "--seriesuids", str(published / "seriesuids_88.csv"), "--submission", str(published / "submission_a.csv"),
        "--published", str(published / "submission_a_published_froc.txt"), "--curve", str(tmp_path / "curve.txt"),
        "--bootstrap", "50",
    ])
    printed = capsys.readouterr().out
    assert code == 0
    for line in (
        "True positives: 104", "False positives: 986", "False negatives: 1",
        "Ignored candidates on excluded findings: 358", "Ignored double detections: 51",
        "Published curve: all 57 points agree",
    ):
        assert line in printed
    assert (tmp_path / "curve.txt").read_text() == (published / "submission_a_published_froc.txt").read_text()


@pytest.mark.real
def test_the_bootstrap_band_lies_around_the_curve_of_submission_a(submission_a: list[ScanMatch]) -> None:
    curve, band = froc(submission_a), bootstrap(submission_a)
    found = np.array([curve.at(rate) for rate in RATES])
    assert (band.low < found).all()
    assert (found < band.high).all()
    assert band.cpm_low < curve.cpm < band.cpm_high


# --- the rules, one by one -------------------------------------------------------------------------------------------


def candidates(*places: tuple[float, float]) -> tuple[Candidate, ...]:
    """Candidates on the x axis: (x in mm, score)."""
    return tuple(Candidate((x, 0.0, 0.0), score) for x, score in places)


AT_ORIGIN = Nodule((0.0, 0.0, 0.0), 10.0)


def test_a_candidate_hits_strictly_within_the_radius() -> None:
    found = match([AT_ORIGIN], candidates((4.999, 0.5)))
    missed = match([AT_ORIGIN], candidates((5.0, 0.5)))
    assert found.nodule_scores.tolist() == [0.5]
    assert found.false_positive_scores.size == 0
    assert missed.nodule_scores.tolist() == [-math.inf]
    assert missed.false_positive_scores.tolist() == [0.5]


def test_the_highest_of_several_hits_counts_and_the_others_are_double() -> None:
    scan = match([AT_ORIGIN], candidates((1, 0.2), (2, 0.9), (3, 0.5)))
    assert scan.nodule_scores.tolist() == [0.9]
    assert (scan.double, scan.ignored, scan.false_positive_scores.size) == (2, 0, 0)


def test_a_candidate_on_an_excluded_finding_is_ignored_unless_it_hits_a_nodule_too() -> None:
    excluded = [Nodule((6.0, 0.0, 0.0), 10.0)]
    scan = match([AT_ORIGIN], candidates((7, 0.9), (3, 0.4)), excluded)
    assert scan.nodule_scores.tolist() == [0.4]
    assert (scan.ignored, scan.double, scan.false_positive_scores.size) == (1, 0, 0)


def test_a_candidate_within_two_nodules_finds_both() -> None:
    scan = match([AT_ORIGIN, Nodule((4.0, 0.0, 0.0), 10.0)], candidates((2, 0.9)))
    assert scan.nodule_scores.tolist() == [0.9, 0.9]
    assert scan.double == 0


def test_of_more_than_a_hundred_candidates_those_above_the_hundred_and_first_are_kept() -> None:
    scores = np.linspace(0, 1, 130)
    scan = match([], candidates(*((50.0 + n, score) for n, score in enumerate(scores))))
    assert scan.candidates == 100
    np.testing.assert_array_equal(np.sort(scan.false_positive_scores), scores[30:])
    tied = match([], candidates(*((50.0, 0.9 if n < 3 else 0.5) for n in range(101))))
    assert tied.candidates == 3


def test_the_frame_does_not_matter_as_long_as_it_is_one() -> None:
    def mirrored(center: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = center
        return -x, -y, z

    nodules = [Nodule((10.0, 20.0, 30.0), 8.0), Nodule((-5.0, 0.0, 3.0), 5.0)]
    marks = [Candidate((12.0, 19.0, 31.0), 0.7), Candidate((-5.0, 1.0, 3.0), 0.6), Candidate((0.0, 0.0, 0.0), 0.5)]
    lps = match(nodules, marks)
    ras = match(
        [Nodule(mirrored(n.center_mm), n.diameter_mm) for n in nodules],
        [Candidate(mirrored(c.center_mm), c.score) for c in marks],
    )
    np.testing.assert_array_equal(lps.nodule_scores, ras.nodule_scores)
    np.testing.assert_array_equal(lps.false_positive_scores, ras.false_positive_scores)


# --- the curve -------------------------------------------------------------------------------------------------------


def test_a_perfect_detector_has_a_cpm_of_one_and_a_silent_one_of_zero() -> None:
    perfect = froc(match_all([Scan("a", (AT_ORIGIN,), candidates((0, 0.9)))]))
    silent = froc(match_all([Scan("a", (AT_ORIGIN,))]))
    assert perfect.cpm == 1.0
    assert silent.cpm == 0.0
    assert silent.counts.false_negatives == 1


def test_scans_without_candidates_or_nodules_still_dilute_the_false_positives() -> None:
    busy = Scan("a", (AT_ORIGIN,), candidates((50, 0.9), (0, 0.5)))
    assert froc(match_all([busy])).at(0.25) == 0.0
    assert froc(match_all([busy, Scan("b"), Scan("c"), Scan("d")])).at(0.25) == 1.0


def test_sensitivity_without_a_nodule_is_refused() -> None:
    with pytest.raises(MedInferError, match="no nodule"):
        froc(match_all([Scan("a", (), candidates((0, 0.9)))]))
    with pytest.raises(MedInferError, match="nodule"):
        bootstrap(match_all([Scan("a", (), candidates((0, 0.9)))]))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(MedInferError, match="not a finite number"):
        match([AT_ORIGIN], candidates((0, score)))


# --- against plain loops ---------------------------------------------------------------------------------------------

# Small whole numbers, so that ties in score, shared candidates and distances of exactly a radius really happen.
positions = st.tuples(*[st.integers(0, 6).map(float)] * 2, st.just(0.0))
nodules = st.lists(st.builds(Nodule, positions, st.integers(1, 6).map(float)), max_size=3)
marks = st.lists(st.builds(Candidate, positions, st.integers(0, 8).map(lambda n: n / 8)), max_size=12)
scans = st.lists(
    st.builds(Scan, st.just("scan"), nodules.map(tuple), marks.map(tuple), nodules.map(tuple)), min_size=1, max_size=6
).filter(lambda drawn: any(scan.nodules for scan in drawn))
LIMIT = 8


def match_by_loops(scan: Scan) -> tuple[list[float | None], list[float], int, int]:
    """The order of steps of LUNA16's script: the best score of each nodule, false positives, ignored, double."""
    kept = list(scan.candidates)
    if len(kept) > LIMIT:
        cut = sorted((mark.score for mark in kept), reverse=True)[LIMIT]
        kept = [mark for mark in kept if mark.score > cut]
    left, best, ignored, double = set(range(len(kept))), [], 0, 0
    for nodule in scan.nodules:
        radius = nodule.diameter_mm / 2
        hits = [n for n, mark in enumerate(kept) if math.dist(mark.center_mm, nodule.center_mm) < radius]
        left -= set(hits)
        double += max(len(hits) - 1, 0)
        best.append(max((kept[n].score for n in hits), default=None))
    for finding in scan.excluded:
        for n in sorted(left):
            if math.dist(kept[n].center_mm, finding.center_mm) < finding.diameter_mm / 2:
                left.remove(n)
                ignored += 1
    return best, [kept[n].score for n in left], ignored, double


def curve_by_loops(drawn: list[Scan]) -> list[tuple[float, float]]:
    """(False positives a scan, sensitivity) at every distinct threshold, highest first, after the origin."""
    found, false, total = [], [], 0
    for scan in drawn:
        best, wrong, _, _ = match_by_loops(scan)
        total += len(best)
        found += [score for score in best if score is not None]
        false += wrong
    points = [(0.0, 0.0)]
    for threshold in sorted({*found, *false}, reverse=True):
        hits = sum(score >= threshold for score in found)
        points.append((sum(score >= threshold for score in false) / len(drawn), hits / total))
    return points


def read_by_loops(points: list[tuple[float, float]], rate: float) -> float:
    """Linear between points, the upper end of a step, level after the last point."""
    for (x0, y0), (x1, y1) in reversed(list(pairwise(points))):
        if x0 <= rate < x1:
            return y0 + (y1 - y0) * (rate - x0) / (x1 - x0)
    return points[-1][1]


@settings(deadline=None)
@given(scans)
def test_counts_are_those_of_the_plain_loops(drawn: list[Scan]) -> None:
    counts = froc(match_all(drawn, max_candidates=LIMIT)).counts
    plain = [match_by_loops(scan) for scan in drawn]
    assert counts.true_positives == sum(score is not None for best, *_ in plain for score in best)
    assert counts.false_negatives == sum(score is None for best, *_ in plain for score in best)
    assert counts.false_positives == sum(len(wrong) for _, wrong, _, _ in plain)
    assert counts.ignored == sum(ignored for *_, ignored, _ in plain)
    assert counts.double == sum(double for *_, double in plain)


@settings(deadline=None)
@given(scans)
def test_the_curve_reads_like_that_of_the_plain_loops_at_every_rate(drawn: list[Scan]) -> None:
    curve, points = froc(match_all(drawn, max_candidates=LIMIT)), curve_by_loops(drawn)
    own = set(zip(curve.false_positives_per_scan.tolist(), curve.sensitivity.tolist(), strict=True))
    assert own <= set(points)
    for rate in np.linspace(0, 12, 97):
        assert curve.at(rate) == pytest.approx(read_by_loops(points, rate), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(scans, st.integers(0, 99))
def test_the_bootstrap_is_the_curve_of_each_drawn_set_of_scans(drawn: list[Scan], seed: int) -> None:
    rng, sensitivities = np.random.default_rng(seed), []
    for _ in range(40):
        chosen = [drawn[number] for number in rng.integers(len(drawn), size=len(drawn))]
        if any(scan.nodules for scan in chosen):
            points = curve_by_loops(chosen)
            sensitivities.append([read_by_loops(points, rate) for rate in RATES])
    ordered = np.sort(np.array(sensitivities), axis=0)
    # 0.125 and 0.875 are exact in binary, so floor(p·n) is no matter of rounding.
    band = bootstrap(match_all(drawn, max_candidates=LIMIT), samples=40, seed=seed, confidence=0.75)
    np.testing.assert_allclose(band.mean, np.mean(sensitivities, axis=0), atol=1e-12)
    np.testing.assert_allclose(band.low, ordered[math.floor(0.125 * len(ordered))], atol=1e-12)
    np.testing.assert_allclose(band.high, ordered[math.floor(0.875 * len(ordered))], atol=1e-12)


def test_the_same_seed_gives_the_same_band_and_another_seed_another() -> None:
    rng = np.random.default_rng(7)
    drawn = [
        Scan(str(n), (AT_ORIGIN,), candidates((0 if rng.random() < 0.6 else 9, rng.random()), (40, rng.random())))
        for n in range(15)
    ]
    matches = match_all(drawn)
    first, again, other = (bootstrap(matches, samples=200, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.mean, again.mean)
    assert (first.mean != other.mean).any()


# --- tables and the command ------------------------------------------------------------------------------------------


class Tables:
    """The four tables of a small evaluation, each replaceable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = {
            "annotations": ANNOTATIONS, "excluded": EXCLUDED, "submission": SUBMISSION, "seriesuids": SERIESUIDS,
        }

    def paths(self, **texts: str | bytes) -> dict[str, Path]:
        paths = {}
        for name, text in {**self.texts, **texts}.items():
            paths[name] = self.folder / f"{name}.csv"
            paths[name].write_bytes(text if isinstance(text, bytes) else text.encode())
        return paths


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def read(tables: Tables, **texts: str | bytes) -> Froc:
    return froc(match_all(read_scans(**tables.paths(**texts))))


def test_small_tables_give_the_counts_one_can_tell_by_hand(tables: Tables) -> None:
    counts = read(tables).counts
    assert (counts.scans, counts.nodules, counts.candidates) == (3, 3, 4)
    assert (counts.true_positives, counts.double, counts.ignored) == (1, 1, 1)
    assert (counts.false_positives, counts.false_negatives) == (1, 2)


def test_column_order_windows_line_ends_a_byte_order_mark_and_blank_lines_do_not_matter(tables: Tables) -> None:
    shuffled = "\ufeffprobability,coordZ,coordY,coordX,seriesuid\r\n0.9,0,0,1,a\r\n\r\n0.8,0,0,2,a\r\n"
    header = "seriesuid\r\na\r\nb\r\nc\r\n"
    counts = read(tables, submission=shuffled, seriesuids=header).counts
    assert (counts.true_positives, counts.double, counts.scans) == (1, 1, 3)


def test_rows_of_the_reference_on_scans_that_are_not_evaluated_are_left_out(tables: Tables) -> None:
    assert read(tables, annotations=ANNOTATIONS + "z,0,0,0,5\n").counts.nodules == 3


BAD_TABLES = {
    "a missing column": ({"submission": "seriesuid,coordX,coordY,coordZ\na,0,0,0\n"}, "no column probability"),
    "an empty file": ({"annotations": ""}, "no column seriesuid"),
    "NaN": ({"submission": SUBMISSION + "a,nan,0,0,1\n"}, "line 6: coordX is 'nan'"),
    "an infinite score": ({"submission": SUBMISSION + "a,0,0,0,inf\n"}, "line 6: probability is 'inf'"),
    "a word for a number": ({"annotations": ANNOTATIONS + "a,0,zero,0,1\n"}, "line 5: coordY is 'zero'"),
    "a short row": ({"excluded": EXCLUDED + "a,0,0\n"}, "line 3: 3 values instead of 5"),
    "an unknown scan": ({"submission": SUBMISSION + "q,0,0,0,1\n"}, "line 6: scan q is not in"),
    "a scan listed twice": ({"seriesuids": "a\nb\na\n"}, "line 3: scan a is listed twice"),
    "no scan": ({"seriesuids": "\n"}, "lists no scan"),
    "a nodule without a size": ({"annotations": ANNOTATIONS + "a,0,0,0,-1\n"}, "line 5: diameter_mm is -1"),
    "a picture": ({"submission": b"\x89PNG\r\n\x1a\n\xff\xfe"}, "not a CSV text file"),
}


@pytest.mark.parametrize(("texts", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_told_in_one_sentence_with_its_file(
    tables: Tables, capsys: pytest.CaptureFixture[str], texts: dict[str, str | bytes], message: str
) -> None:
    paths = tables.paths(**texts)
    with pytest.raises(TableError, match=message):
        read_scans(**paths)
    code = main([part for name, path in paths.items() for part in (f"--{name}", str(path))])
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert str(paths[next(iter(texts))]) in printed.err


def test_a_missing_file_is_named(tables: Tables) -> None:
    paths = {**tables.paths(), "submission": tables.folder / "none.csv"}
    with pytest.raises(TableError, match=r"none\.csv cannot be read"):
        read_scans(**paths)


def test_the_command_fails_where_the_curve_is_not_the_published_one(
    tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [part for name, path in tables.paths().items() for part in (f"--{name}", str(path))]
    curve, other = tables.folder / "curve.txt", tables.folder / "other.txt"
    assert main([*command, "--curve", str(curve)]) == 0
    assert main([*command, "--published", str(curve)]) == 0
    points = read_curve(curve)
    assert difference(read(tables), points) < 1e-9
    np.savetxt(other, points + np.array([0, 1e-5, 0]), delimiter=",")
    assert main([*command, "--published", str(other)]) == 1
    assert "differs" in capsys.readouterr().out


def test_a_curve_that_cannot_be_written_or_read_is_told(tables: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    paths = tables.paths()
    command = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    assert main([*command, "--curve", str(tables.folder / "none" / "curve.txt")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main([*command, "--published", str(paths["submission"])]) == 2
    assert "is not a curve" in capsys.readouterr().err


def test_the_picture_is_drawn_where_matplotlib_is_there(tables: Tables) -> None:
    pytest.importorskip("matplotlib")
    picture = tables.folder / "froc.png"
    command = [part for name, path in tables.paths().items() for part in (f"--{name}", str(path))]
    assert main([*command, "--plot", str(picture), "--bootstrap", "20"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
