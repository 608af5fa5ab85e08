"""Boxes below the threshold are kept beside the findings, and those above are what they would be without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lamps import DIAMETER_MM, LAMPS, LOWEST, draw_lamps, lamps_package, score_of

from medinfer.command.console import findings_table
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.inference.steps import steps_of
from medinfer.library.package import load_package
from medinfer.manifest import Manifest
from medinfer.volume import Grid

Run = Callable[..., Findings]
GRID = Grid((40, 50, 60), np.diag([-1.3, -1.1, 2.1, 1.0]))


@pytest.fixture(scope="module")
def lamps_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    volume = draw_lamps(GRID)[0]
    package = load_package(lamps_package(tmp_path_factory.mktemp("packages") / "lamps"))
    with open_package(package, backend="onnxruntime", precision="float32") as session:
        yield lambda threshold=None: run(volume, package, session, threshold=threshold)


def test_weaker_candidates_are_kept_down_to_the_floor(lamps_run: Run) -> None:
    findings = lamps_run()
    scores = [score_of(brightness) for brightness in LAMPS]
    assert len(findings.boxes) == sum(score > 0.5 for score in scores)
    assert len(findings.candidates) == sum(LOWEST < score <= 0.5 for score in scores)
    assert findings.found == len(findings.boxes)
    assert findings.run["floor"] == LOWEST
    everything = [box.score for box in (*findings.boxes, *findings.candidates)]
    assert everything == sorted(everything, reverse=True)


def test_what_is_reported_is_what_a_run_without_candidates_reports(lamps_run: Run) -> None:
    for threshold in (0.3, 0.5, 0.6, 0.8):
        findings = lamps_run(threshold)
        assert findings.boxes == tuple(box for box in lamps_run(LOWEST).boxes if box.score > threshold)
        again = lamps_run().at(threshold)
        assert (again.boxes, again.candidates) == (findings.boxes, findings.candidates)
        assert again.run["threshold"] == threshold


def test_a_threshold_below_the_floor_becomes_the_floor(lamps_run: Run) -> None:
    findings = lamps_run(0.05)
    assert findings.run["floor"] == 0.05
    assert findings.candidates == ()
    assert len(findings.boxes) >= len(lamps_run(LOWEST).boxes)
    with pytest.raises(ValueError, match=r"down to 0\.25, not to 0\.1"):
        lamps_run().at(0.1)


def test_candidates_survive_the_file_and_are_told(lamps_run: Run) -> None:
    findings = lamps_run()
    assert Findings.from_json(findings.to_json()) == findings
    count = len(findings.candidates)
    weakest = min(box.score for box in findings.candidates)
    assert findings_table(findings)[-1].startswith(f"  weaker candidates kept beside: {count}, with scores from ")
    assert findings_table(replace(findings, boxes=()))[0] == "  nothing found"
    assert f"to {weakest:.2f}" in findings_table(replace(findings, boxes=()))[-1]


def test_boxes_around_regions_have_no_candidates(blob_package: Callable[..., Path], blob_scan: tuple) -> None:
    """Below the threshold a blob would be larger, and not the same box with a lower score."""
    package = load_package(blob_package())
    assert package.manifest.floor is None
    with open_package(package, backend="onnxruntime") as session:
        findings = run(blob_scan[0], package, session)
    assert "floor" not in findings.run
    assert '"candidates"' not in findings.to_json()


def test_boxes_and_candidates_are_measured_where_the_model_says_so(lamps_run: Run, tmp_path: Path) -> None:
    volume = draw_lamps(GRID)[0]
    package = load_package(lamps_package(tmp_path / "lamps"))
    data = package.manifest.data()
    data["result"][0]["measure"] = "nodule"
    told: list[str] = []
    measuring = replace(package, manifest=Manifest.model_validate(data))
    with open_package(measuring, backend="onnxruntime", precision="float32") as session:
        findings = run(volume, measuring, session, progress=lambda stage, done, total: told.append(stage))
    assert told[-1] == "measures"
    assert [step.name for step in steps_of(measuring.manifest)][-1] == "measures"
    for box in (*findings.boxes, *findings.candidates):
        assert box.measures is not None
        # The balls are all of one size, and as dense as they are bright.
        assert box.measures.longest_mm == pytest.approx(DIAMETER_MM, abs=2)
    plain = lamps_run()
    assert [replace(box, measures=None) for box in findings.boxes] == list(plain.boxes)
    assert "measures" not in plain.to_json()
    assert findings_table(findings)[1].endswith(findings.boxes[0].measures.words)
