"""Names that look like HTML, paths, formats or table cells: each is shown and saved as the text that it is."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from PySide6 import QtGui
from results_user import ResultsUser

from medinfer.errors import PackageError
from medinfer.volume import Volume

# Without what a label may not have: a newline, a tab, a quotation mark.
LABEL = "</td><script>alert(1)</script><img src=x onerror=y> & &amp; % %s {0} {n} / \\ : ' , ; ünï🦷 " + "x" * 300
NAME = f'"{LABEL}\n\t{LABEL}"'


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def spoilt(manifest: dict[str, Any]) -> None:
    """All that a package's author can write freely."""
    manifest["title"] = NAME
    manifest["card"] = dict.fromkeys(manifest["card"], NAME)
    manifest["card"]["homepage"] = 'https://example.org/"><script>alert(2)</script>'
    manifest["card"]["measured"] = [{"what": NAME, "value": NAME, "data": NAME}]
    for label in manifest["labels"]:
        label["name"] = f"{label['value']}{LABEL}"


@pytest.fixture
def hostile(
    harness: SlicerHarness, own_library: Path, blob_package: Callable[..., Path], blob_scan: Any, temporary: Path,
    open_panel: Callable[[str], Any],
) -> ResultsUser:
    """A user with a model and a scan whose names are the worst, in a folder whose name is no better."""
    from medslicer.nodes.volumes import add_volume

    shutil.move(blob_package(spoilt), own_library / "<b>häß lich & 'x'")
    node = add_volume(harness.scene, blob_scan[0])
    node.SetName(NAME)
    user = ResultsUser(harness, open_panel("MedDetect").module)
    user.choose("modelSelector", "<script>")
    return user


@pytest.fixture
def hostile_result(hostile: ResultsUser, find_once: Callable[..., Any], blob_scan: Any) -> ResultsUser:
    """The same user with the model's result, whose labels are the worst."""
    from medinfer.library.library import find_package
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    package, (scan, _) = find_package("blobs"), blob_scan
    node = hostile.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    findings = find_once(package, Volume(scan.voxels, scan.grid, NAME))
    add_result(hostile.scene, findings, node, package.manifest, PROFILES["MedDetect"])
    hostile.harness.process_events()
    return hostile


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_panel_shows_them_as_they_are(hostile: ResultsUser) -> None:
    assert one_line(NAME) in one_line(hostile.card)
    assert "alert(2)" in hostile.card
    assert QtGui.Qt.mightBeRichText(hostile.ui("modelSelector").toolTip())
    assert one_line(NAME) in one_line(Page(hostile.ui("modelSelector").toolTip()).text)
    hostile.run_to_the_end()
    assert hostile.message.startswith("2 nodules found in ")
    assert hostile.titles == [f"1{LABEL} 1", f"1{LABEL} 2"]
    tip = Page(hostile.item(hostile.titles[0]).toolTip())
    assert "img" not in tip.tags
    assert tip.text == hostile.titles[0]
    assert NAME.splitlines()[0] in hostile.log


def test_a_question_shows_a_name_as_it_is(hostile_result: ResultsUser) -> None:
    hostile = hostile_result
    (result,) = hostile.results
    result.table.SetName(NAME)
    hostile.harness.process_events()
    hostile.harness.answer(confirm=False)
    hostile.click("removeResultButton")
    shown = Page(hostile.harness.shown_dialogs[-1].text)
    assert "script" not in shown.tags
    assert one_line(NAME) in one_line(shown.text)
    assert hostile.results == (result,)


def test_files_hold_them_as_they_are(hostile_result: ResultsUser, tmp_path: Path) -> None:
    hostile, folder = hostile_result, tmp_path / "aus gabe & <ü>"
    folder.mkdir()
    titles = hostile.titles
    hostile.export("Table", folder / "t.csv")
    hostile.export("Markups", folder / "m.mrk.json")
    hostile.export("Report", folder / "r.html")
    assert {path.name for path in folder.iterdir()} == {"t.csv", "m.mrk.json", "r.html"}
    with (folder / "t.csv").open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert [row[header.index("label")] for row in rows] == [f"1{LABEL}"] * 2
    assert [one["name"] for one in json.loads((folder / "m.mrk.json").read_text("utf-8"))["markups"]] == titles
    page = Page((folder / "r.html").read_text("utf-8"))
    assert "script" not in page.tags
    assert all(title in page.text for title in titles)
    assert one_line(NAME) in one_line(page.text)


def test_a_scene_keeps_them_and_its_table(hostile_result: ResultsUser, tmp_path: Path) -> None:
    from medslicer.export.saving import save_scene

    hostile = hostile_result
    before = hostile.rows
    assert len(before) == 2
    save_scene(hostile.scene, tmp_path / "scene.mrb")
    hostile.scene.Clear(0)
    assert hostile.scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    hostile.harness.process_events()
    assert hostile.rows == before


def test_surfaces_do_not_care_what_a_user_calls_a_segment(teeth: ResultsUser, tmp_path: Path) -> None:
    """Slicer's writer makes a path of it."""
    (result,) = teeth.results
    node = result.nodes.segmentation
    node.SetName("../teeth")
    for number, name in enumerate(["../../evil", "a/b", "x" * 300, "two\nlines", "", "..", "CON"]):
        node.GetSegmentation().GetNthSegment(number).SetName(name)
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    teeth.export("Surfaces", folder)
    assert len(list(folder.glob("*.stl"))) == len(list(folder.iterdir())) == 13
    assert list((tmp_path / "in").iterdir()) == [folder]


@pytest.mark.parametrize("spoils", ["two\nlines", "a\ttab", 'a "quoted" word', ""])
def test_a_label_that_would_tear_a_saved_table_is_refused(
    blob_package: Callable[..., Path], spoils: str
) -> None:
    """Slicer writes tables as text without escaping: the rows after such a label would be lost with the scene."""
    from medinfer.library.package import load_package

    def change(manifest: dict[str, Any]) -> None:
        manifest["labels"][0]["name"] = spoils

    with pytest.raises(PackageError, match=r"labels.*name") as told:
        load_package(blob_package(change))
    assert "\n" not in str(told.value)


def test_two_results_and_two_scans_of_one_name_are_told_apart(
    user_with_result: Any, harness: SlicerHarness, blob_scan: tuple[Volume, Any]
) -> None:
    from medslicer.results.result import results_in

    user = user_with_result
    user.run_to_the_end()
    first, second = results_in(harness.scene)
    second.table.SetName(first.name)
    harness.process_events()
    assert user.entries("resultSelector") == ["Nodules – blobs (1)", "Nodules – blobs (2)"]
    user.ui("resultSelector").setCurrentIndex(0)
    user.ui("resultSelector").activated.emit(0)
    harness.process_events()
    user.ui("findingsTable").setCurrentCell(0, 1)
    user.click("rejectButton")
    assert [row.review for row in first.rows] == ["rejected", ""]
    assert [row.review for row in second.rows] == ["", ""]
    user.choose("targetSelector", "Replace Nodules")
    user.run_to_the_end()
    assert not first.there
    assert second.there
