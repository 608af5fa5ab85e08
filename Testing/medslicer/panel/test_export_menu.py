"""Export: each entry asks where to, writes what is shown, and says what it did; read back by other means than ours."""

from __future__ import annotations

import csv
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from lamps import LAMPS, draw_lamps
from peas import LOWER, RADIUS_MM, UPPER, pea_centers
from results_user import ResultsUser


@pytest.fixture
def reviewed(nodules: ResultsUser) -> ResultsUser:
    """Nodule 1 was accepted, Nodule 2 rejected, 5 and 6 lie below the score."""
    nodules.tick("Nodule 1")
    nodules.click_row("Nodule 2")
    nodules.click("rejectButton")
    nodules.drag_to(0.5)
    return nodules


@pytest.fixture
def centers(blob_scan: Any) -> list[np.ndarray]:
    """Where the nodules were drawn (RAS mm), the brightest first."""
    _, truth = draw_lamps(blob_scan[0].grid)
    return [truth[brightness] for brightness in LAMPS]


def entries(user: ResultsUser) -> list[str]:
    return [action.text() for action in user.ui("exportButton").menu().actions()]


class Page(HTMLParser):
    """The text of a page, what its tables' rows say, and its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.pictures: list[str] = []
        self.words: list[str] = []
        self.foreign: list[str] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self._cell = True
        if tag == "img":
            self.pictures.append(str(said["alt"]))
        if tag in ("script", "link", "iframe") or str(said.get("src", "data:")).partition(":")[0] != "data":
            self.foreign.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._cell:
            self.rows[-1][-1] += data


def test_each_module_offers_the_files_that_fit_its_findings(
    nodules: ResultsUser, landmarks: ResultsUser, teeth: ResultsUser
) -> None:
    assert entries(nodules) == entries(landmarks) == ["Table (CSV)…", "Markups…", "Report…"]
    assert entries(teeth) == ["Table (CSV)…", "Segmentation…", "Surfaces (STL)…", "Report…"]


def test_the_table_as_csv(reviewed: ResultsUser, centers: list[np.ndarray], tmp_path: Path) -> None:
    reviewed.export("Table", tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["label"], row["review"]) for row in rows] == [
        ("1", "Nodule", "accepted"), ("3", "Nodule", ""), ("4", "Nodule", ""),
    ]
    for row, center in zip(rows, [centers[0], centers[2], centers[3]], strict=True):
        assert np.linalg.norm([float(row[f"{axis}_mm"]) for axis in "ras"] - center) < 1.5
    assert reviewed.outcome == f"Written: {tmp_path / 'found.csv'}"
    assert not reviewed.complains


def test_markups_hold_the_boxes_that_are_shown(
    reviewed: ResultsUser, centers: list[np.ndarray], tmp_path: Path
) -> None:
    reviewed.export("Markups", tmp_path / "found.mrk.json")
    document = json.loads((tmp_path / "found.mrk.json").read_text())
    assert [markup["type"] for markup in document["markups"]] == ["ROI"] * 3
    assert [markup["name"] for markup in document["markups"]] == ["Nodule 1", "Nodule 3", "Nodule 4"]
    for markup, center in zip(document["markups"], [centers[0], centers[2], centers[3]], strict=True):
        assert markup["coordinateSystem"] == "LPS"
        assert np.linalg.norm(np.array(markup["center"]) * [-1, -1, 1] - center) < 1.5


def test_markups_of_landmarks_with_their_measures(landmarks: ResultsUser, dots_scan: Any, tmp_path: Path) -> None:
    landmarks.unfold("measuresSection")
    landmarks.click("addMeasureButton")
    landmarks.export("Markups", tmp_path / "spine.mrk.json")
    markups = json.loads((tmp_path / "spine.mrk.json").read_text())["markups"]
    assert [markup["type"] for markup in markups] == ["Fiducial", "Curve", "Line"]
    assert (markups[2]["name"], len(markups[2]["controlPoints"])) == ("head–foot", 2)
    points = markups[0]["controlPoints"]
    assert [point["label"] for point in points] == ["head", "chest", "foot", "tail"]
    assert [point["positionStatus"] for point in points] == ["defined"] * 3 + ["missing"]
    for point in points[:3]:
        assert np.linalg.norm(np.array(point["position"]) * [-1, -1, 1] - dots_scan[1][point["label"]]) < 0.5


def test_a_segmentation_holds_the_teeth_that_are_shown(teeth: ResultsUser, tmp_path: Path) -> None:
    teeth.click_row("11")
    teeth.click("rejectButton")
    teeth.export("Segmentation", tmp_path / "teeth.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "teeth.seg.nrrd"))
    said = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    names = {value for key, value in said.items() if key.endswith("_Name")}
    assert names == {*UPPER, *LOWER, "Mandibular canal"} - {"11"}
    (key,) = [key for key, value in said.items() if key.endswith("_Name") and value == "33"]
    value = int(said[key.replace("_Name", "_LabelValue")])
    where = np.argwhere(sitk.GetArrayFromImage(image) == value)[:, ::-1]
    middle = np.mean([image.TransformIndexToPhysicalPoint([int(n) for n in one]) for one in where], axis=0)
    assert np.linalg.norm(middle * [-1, -1, 1] - pea_centers()["33"]) < 0.5


def test_surfaces_are_one_stl_a_tooth(teeth: ResultsUser, tmp_path: Path) -> None:
    import vtk

    teeth.click_row("43")
    teeth.click("rejectButton")
    (tmp_path / "stl").mkdir()
    teeth.export("Surfaces", tmp_path / "stl")
    files = {path.name: path for path in (tmp_path / "stl").iterdir()}
    assert len(files) == 12
    assert not any("43" in name for name in files)
    (path,) = [path for name, path in files.items() if "13" in name]
    reader = vtk.vtkSTLReader()
    reader.SetFileName(str(path))
    reader.Update()
    # LPS; a ball on voxels of 1 mm.
    low, high = np.array(reader.GetOutput().GetBounds()).reshape(3, 2).T
    assert (low + high) / 2 * [-1, -1, 1] == pytest.approx(pea_centers()["13"], abs=0.6)
    assert high - low == pytest.approx([2 * RADIUS_MM] * 3, abs=1.5)
    assert teeth.outcome == f"Written: {tmp_path / 'stl'}"


def test_a_report_tells_all_findings_and_shows_those_that_are_shown(reviewed: ResultsUser, tmp_path: Path) -> None:
    reviewed.export("Report", tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [(row[1], row[-1]) for row in page.rows if len(row) == 6] == [
        ("Nodule 1", "accepted"), ("Nodule 2", "rejected"), ("Nodule 3", "not reviewed"), ("Nodule 4", "not reviewed"),
        ("Nodule 5", "hidden: low score"), ("Nodule 6", "hidden: low score"),
    ]
    assert [alt.partition(",")[0] for alt in page.pictures] == ["Nodule 1", "Nodule 3", "Nodule 4"]
    assert "Not for clinical use" in " ".join(page.words)
    assert page.foreign == []


@pytest.mark.parametrize("entry", ["Table", "Segmentation", "Surfaces", "Report"])
def test_a_dialog_that_is_cancelled_writes_and_says_nothing(teeth: ResultsUser, entry: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    teeth.export(entry, "")
    assert sorted(tmp_path.iterdir()) == before
    assert teeth.outcome == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("entry", ["Table", "Report"])
def test_a_folder_that_cannot_be_written_is_one_sentence(nodules: ResultsUser, entry: str, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    nodules.export(entry, locked / "out")
    assert nodules.complains
    assert "locked" in nodules.outcome


@pytest.mark.parametrize(("entry", "suffix"), [
    ("Table", ".csv"), ("Segmentation", ".seg.nrrd"), ("Surfaces", ""), ("Report", ".html"),
])
def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(
    teeth: ResultsUser, entry: str, suffix: str, tmp_path: Path
) -> None:
    """A file where a folder should be: nobody can write there, not even root."""
    (tmp_path / "notes").write_text("mine")
    teeth.export(entry, tmp_path / "notes" / f"out{suffix}")
    assert teeth.complains
    assert "notes" in teeth.outcome
    assert "Traceback" not in teeth.outcome
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_suffix_that_was_left_out_is_added(nodules: ResultsUser, tmp_path: Path) -> None:
    for chosen, written in (
        ("a", "a.mrk.json"), ("b.json", "b.mrk.json"), ("c.mrk.json", "c.mrk.json"), ("CT 1.5", "CT 1.5.mrk.json"),
    ):
        nodules.export("Markups", tmp_path / chosen)
        assert (tmp_path / written).is_file(), written


def test_the_dialog_proposes_the_results_name_where_was_written_last(nodules: ResultsUser, tmp_path: Path) -> None:
    (tmp_path / "patient").mkdir()
    nodules.export("Table", tmp_path / "patient" / "first.csv")
    nodules.export("Report", "")
    assert nodules.harness.shown_dialogs[-1].text == str(tmp_path / "patient" / "Nodules.html")


def test_a_result_whose_name_has_a_slash_is_proposed_without_it(nodules: ResultsUser) -> None:
    nodules.node("Nodules").SetName("CT 1/2")
    nodules.export("Table", "")
    assert Path(nodules.harness.shown_dialogs[-1].text).name == "CT 1-2.csv"


def test_with_nothing_shown_files_are_empty_and_whole(nodules: ResultsUser, tmp_path: Path) -> None:
    nodules.drag_to(1.0)
    for entry, name in (("Table", "n.csv"), ("Markups", "n.mrk.json"), ("Report", "n.html")):
        nodules.export(entry, tmp_path / name)
        assert not nodules.complains, nodules.outcome
    assert len((tmp_path / "n.csv").read_text().splitlines()) == 1
    assert json.loads((tmp_path / "n.mrk.json").read_text())["markups"] == []
    assert Page((tmp_path / "n.html").read_text()).pictures == []


def test_after_the_segmentation_was_deleted_by_hand_export_says_so(teeth: ResultsUser, tmp_path: Path) -> None:
    teeth.scene.RemoveNode(teeth.nodes("vtkMRMLSegmentationNode")[0])
    teeth.harness.process_events()
    teeth.export("Segmentation", tmp_path / "t.seg.nrrd")
    assert teeth.complains
    assert "it was removed from the scene" in teeth.outcome
    teeth.export("Report", tmp_path / "t.html")
    assert not teeth.complains
