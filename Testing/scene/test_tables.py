"""The table of a run's findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medinfer.findings import Findings
from medinfer.volume import Volume
from medslicer.headless import HeadlessSlicer
from medslicer.lookup import nodes_of
from medslicer.saving import save_scene
from medslicer.tables import add_table

NUMBERS = ("score", "diameter_mm", "r_mm", "a_mm", "s_mm")


def rows(table: Any) -> list[dict[str, Any]]:
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    return [
        {name: table.GetTable().GetValue(row, column).ToString() for column, name in enumerate(names)}
        for row in range(table.GetNumberOfRows())
    ]


def check(table: Any, findings: Findings) -> None:
    for rank, (row, box) in enumerate(zip(rows(table), findings.boxes, strict=True), start=1):
        assert (int(row["rank"]), row["label"], row["side"]) == (rank, box.label, box.side)
        assert float(row["score"]) == pytest.approx(box.score, abs=1e-6)
        assert float(row["diameter_mm"]) == pytest.approx(box.diameter_mm, rel=1e-5)
        centre = [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")]
        assert centre == pytest.approx(box.center_ras, rel=1e-5)


def test_a_row_a_finding_best_first(scene: Any, findings: Findings) -> None:
    check(add_table(scene, findings, "Nodules"), findings)


def test_titles_are_the_headers_and_lengths_have_units(scene: Any, findings: Findings) -> None:
    table = add_table(scene, findings, "Nodules")
    assert table.GetUseColumnTitleAsColumnHeader()
    assert table.GetColumnTitle("diameter_mm") == "Diameter"
    assert {name: table.GetColumnUnitLabel(name) for name in NUMBERS} == {
        "score": "", "diameter_mm": "mm", "r_mm": "mm", "a_mm": "mm", "s_mm": "mm",
    }
    assert all(table.GetColumnDescription(name) for name in NUMBERS)


def test_the_columns_are_those_of_the_csv(scene: Any, findings: Findings) -> None:
    table = add_table(scene, findings, "Nodules")
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert names == findings.to_csv().splitlines()[0].split(",")


def test_a_run_that_found_nothing_has_an_empty_table(scene: Any) -> None:
    table = add_table(scene, Findings(), "Nodules")
    assert table.GetNumberOfRows() == 0
    assert table.GetColumnTitle("score") == "Score"


def test_a_scene_bundle_keeps_numbers_types_titles_and_units(
    scene: Any, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    add_table(scene, findings, "Nodules")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (table,) = nodes_of(other.scene, "vtkMRMLTableNode")
        check(table, findings)
        assert table.GetUseColumnTitleAsColumnHeader()
        assert (table.GetColumnTitle("r_mm"), table.GetColumnUnitLabel("r_mm")) == ("R", "mm")
        assert table.GetTable().GetColumnByName("score").IsNumeric()
