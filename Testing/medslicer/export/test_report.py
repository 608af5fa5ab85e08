"""The report: one HTML file that needs nothing else, with pictures that show what they say."""

from __future__ import annotations

import dataclasses
import re
from base64 import b64decode
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, NoduleMeasures, box_from_index
from medinfer.png import png_bytes
from medinfer.volume import Grid, Volume
from medslicer.export.finding_pictures import BAR_INSET, PIXELS, edge_of, picture_of
from medslicer.export.report import MOST_PICTURES, export_report, place_words, report_html
from medslicer.nodes.volumes import add_volume
from medslicer.pictures.plane_sampling import interpolated
from medslicer.results.measures import add_angle, add_distance


class Page(HTMLParser):
    """What a browser would make of it: the words, the tags still open, what it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_it_is_one_whole_page_without_scripts_and_nothing_from_elsewhere(
    scene: Any, any_case: Any, tmp_path: Path
) -> None:
    result = any_case.add(scene)
    export_report(result, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.open == []
    assert not page.tags & {"script", "link", "iframe", "object", "form"}
    assert len(page.sources) == len(result.shown_rows) > 0
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", html)


def test_it_says_what_was_run_on_what_and_what_it_is_not_for(scene: Any, nodule_case: Any) -> None:
    text = Page(report_html(nodule_case.add(scene))).text
    for words in (
        "Nodules: CHEST 1", "Not for clinical use.", "Bright blobs", "(version 1.0.0)", "blobs 1.0.0", "Apache-2.0",
        "cpu, float32, ONNX Runtime, 2 s", "Threshold 0.30", "The scan has a gantry tilt of 3°", "Tests.",
    ):
        assert words in text
    assert text.count("Not for clinical use") == 1


def test_each_finding_has_its_row_with_place_and_review(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    result.set_review(1, "accepted")
    result.set_review(2, "rejected")
    result.show_from(0.4)
    page = Page(report_html(result))
    place = place_words(nodule_case.findings.boxes[0].center_ras).split()
    assert f"1 Nodule 1 0.91 7.1 mm, left lung {' '.join(place)} accepted" in page.text
    assert re.search(r"2 Nodule 2 0\.50 5\.4 mm, right lung .+ rejected 3 Nodule 3", page.text)
    assert re.search(r"3 Nodule 3 0\.33 1\.5 mm .+ hidden: low score", page.text)
    assert "1 shown, 1 accepted, 1 rejected, 1 below the score of 0.40" in page.text
    assert len(page.sources) == 1


def test_measures_of_nodules_have_a_column_where_there_are_any(scene: Any, nodule_case: Any) -> None:
    assert "Measured" not in Page(report_html(nodule_case.add(scene))).text
    best, *others = nodule_case.findings.boxes
    measured = dataclasses.replace(best, measures=NoduleMeasures(512.5, 12.25, 8.5, "part-solid"))
    found = dataclasses.replace(nodule_case.findings, boxes=(measured, *others))
    result = dataclasses.replace(nodule_case, findings=found).add(scene)
    assert result.rows[0].detail == "7.1 mm, 512 mm³, left lung"
    text = Page(report_html(result)).text
    assert "Measured" in text
    assert "7.1 mm, 512 mm³, left lung 12.2 × 8.5 mm, 512 mm³, part-solid" in text


def test_places_are_said_as_radiologists_say_them() -> None:
    assert place_words((12.34, -40.06, 0.0)) == "R 12.3  P 40.1  S 0.0"
    assert place_words((-1.0, 2.0, -3.0)) == "L 1.0  A 2.0  I 3.0"
    assert place_words(None) == "–"


def test_landmarks_come_with_flags_missing_ones_and_measures(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    line = add_distance(result, 1, 5)
    angle = add_angle(result, 1, 4, 5)
    text = Page(report_html(result)).text
    assert "above L1; too near L4" in text
    assert "Not found: L2, L5." in text
    assert not re.search(r"\d L[25] ", text)
    assert f"T12–L4 {line.GetLineLengthWorld():.1f} mm" in text
    assert f"T12–L3–L4 {angle.GetAngleDegrees():.1f}°" in text


def test_landmarks_that_are_not_there_stand_together_below_those_that_are(scene: Any, landmark_case: Any) -> None:
    first, *_ = landmark_case.findings.landmarks
    names = [*(f"C{n}" for n in range(1, 8)), *(f"T{n}" for n in range(1, 13)), "L1"]
    spine = tuple(
        dataclasses.replace(first, label=name, position_ras=first.position_ras if name in ("T11", "T12") else None)
        for name in names
    )
    text = Page(report_html(dataclasses.replace(landmark_case, findings=Findings(landmarks=spine)).add(scene))).text
    table = text.split("Position, mm")[1]
    assert re.match(r" (To check )?Review 18 T11 .+ 19 T12 .+ Not found: C1–T10, L1\. Positions are", table)
    nothing = tuple(dataclasses.replace(one, position_ras=None) for one in spine)
    text = Page(report_html(dataclasses.replace(landmark_case, findings=Findings(landmarks=nothing)).add(scene))).text
    assert "Nothing was found." in text
    assert "Not found" not in text


def test_names_and_notes_cannot_break_the_page(scene: Any, nodule_case: Any) -> None:
    volume_node = add_volume(scene, nodule_case.volume)
    volume_node.SetName("<b>Nörgel & Söhne</b> \"x\" <script>alert(1)</script>")
    findings = dataclasses.replace(nodule_case.findings, notes=("<img src=x> & more",))
    page = Page(report_html(dataclasses.replace(nodule_case, findings=findings).add_to(scene, volume_node)))
    assert "script" not in page.tags
    assert "<b>Nörgel & Söhne</b>" in page.text
    assert "<img src=x> & more" in page.text


def test_without_findings_or_without_the_scan_it_says_so(scene: Any, nodule_case: Any) -> None:
    empty = dataclasses.replace(nodule_case, findings=Findings()).add(scene)
    assert "Nothing was found." in Page(report_html(empty)).text
    result = nodule_case.add(scene)
    scene.RemoveNode(result.nodes.roi(2))
    scene.RemoveNode(result.volume_node)
    page = Page(report_html(result))
    assert "There are none, because the scan was removed from the scene." in page.text
    assert "removed from the scene" in page.text
    assert page.sources == []


def test_of_very_many_findings_only_the_first_are_drawn(scene: Any, nodule_case: Any) -> None:
    box = nodule_case.findings.boxes[0]
    many = Findings(boxes=(box,) * (MOST_PICTURES + 3))
    page = Page(report_html(dataclasses.replace(nodule_case, findings=many).add(scene)))
    assert len(page.sources) == MOST_PICTURES
    assert "3 more are not shown here." in page.text


def test_the_scene_does_not_change(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    times = {node.GetID(): node.GetMTime() for node in every_node(scene)}
    report_html(result)
    assert {node.GetID(): node.GetMTime() for node in every_node(scene)} == times


def every_node(scene: Any) -> list[Any]:
    return [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]


# A scan whose value is a function of the place: the pictures can be checked pixel by pixel.
SHAPE, SLOPES = (30, 40, 50), np.array([3.0, -2.0, 5.0])


def ramp(axes: NDArray[np.float64]) -> Volume:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array([1.5, 1.2, 2.0])
    grid = Grid(SHAPE, matrix)
    middle = grid.to_ras((np.array(SHAPE) - 1) / 2)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    return Volume((grid.to_ras(index) - middle) @ SLOPES, grid, "ramp", "CT")


@pytest.fixture(params=[(1, True), (2, False)], ids=["right-handed", "left-handed"])
def ramp_case(request: pytest.FixtureRequest, nodule_case: Any) -> Any:
    seed, right_handed = request.param
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if (np.linalg.det(axes) > 0) != right_handed:
        axes[:, 0] *= -1
    volume = ramp(axes)
    box = box_from_index(volume.grid, (12, 16, 20), (18, 24, 30), label="nodule", score=0.9)
    return dataclasses.replace(nodule_case, volume=volume, findings=Findings(boxes=(box,)))


@pytest.mark.parametrize("moved", [False, True], ids=["as it is", "under a transform"])
def test_every_pixel_shows_the_scan_where_it_says(
    scene: Any, ramp_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], moved: bool
) -> None:
    volume_node = add_volume(scene, ramp_case.volume, window=(400.0, 20.0))
    from_world = np.linalg.inv(put_under_transform(volume_node)) if moved else np.eye(4)
    result = ramp_case.add_to(scene, volume_node)
    row = result.rows[0]
    picture = picture_of(result, row)
    assert picture.pixels.shape == (PIXELS, PIXELS, 3)
    grid = ramp_case.volume.grid
    middle = grid.to_ras((np.array(SHAPE) - 1) / 2)
    roi = result.nodes.roi(1)
    checked = 0
    for y, x in np.random.default_rng(0).integers(0, PIXELS, (400, 2)):
        # Radiological: to the right of the picture is the patient's left, downwards the patient's back.
        step = picture.width_mm / PIXELS
        place = np.array(row.position_world) - np.array([(x - 127.5) * step, (y - 127.5) * step, 0])
        local = (from_world @ (*place, 1))[:3]
        index = grid.to_index(local)
        if (index < 0).any() or (index > np.array(SHAPE) - 1).any() or is_line(picture.pixels, y, x, roi):
            continue
        grey = ((local - middle) @ SLOPES - (20 - 200)) / 400 * 255
        assert picture.pixels[y, x] == pytest.approx(np.clip(np.full(3, grey), 0, 255), abs=0.51)
        checked += 1
    assert checked > 80


def is_line(pixels: NDArray[np.uint8], y: int, x: int, roi: Any) -> bool:
    """Whether a pixel lies on the outline, its dark seam, or the scale bar."""
    near = pixels[max(y - 1, 0):y + 2, max(x - 1, 0):x + 2].reshape(-1, 3)
    color = np.rint(np.array(roi.GetDisplayNode().GetSelectedColor()) * 255).astype(np.uint8)
    return bool((near == color).all(axis=1).any()) or y > PIXELS - BAR_INSET - 6


@pytest.mark.parametrize("moved", [False, True], ids=["as it is", "under a transform"])
def test_the_outline_is_where_the_plane_cuts_the_box(
    scene: Any, ramp_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], moved: bool
) -> None:
    volume_node = add_volume(scene, ramp_case.volume)
    matrix = put_under_transform(volume_node) if moved else np.eye(4)
    result = ramp_case.add_to(scene, volume_node)
    picture = picture_of(result, result.rows[0])
    color = np.rint(np.array(result.nodes.roi(1).GetDisplayNode().GetSelectedColor()) * 255).astype(np.uint8)
    drawn = np.argwhere((picture.pixels == color).all(axis=2))
    (box,) = ramp_case.findings.boxes
    axes = matrix[:3, :3] @ np.array(box.axes).T
    step = picture.width_mm / PIXELS
    for y, x in drawn:
        own = axes.T @ np.array([-(x - 127.5) * step, -(y - 127.5) * step, 0.0])
        # The nearest face is less than a pixel away, and the pixel itself is inside.
        inset = np.array(box.size_mm) / 2 - np.abs(own)
        assert -1e-6 < inset.min() < step * 1.5
    assert len(drawn) > 60


def test_a_segment_is_outlined_on_its_voxels_and_a_landmark_ringed(
    scene: Any, teeth_case: Any, landmark_case: Any
) -> None:
    teeth = teeth_case.add(scene)
    picture = picture_of(teeth, teeth.rows[1])
    color = np.rint(np.array([1, 0.875, 0.5]) * 255).astype(np.uint8)
    places = np.argwhere((picture.pixels == color).all(axis=2)) - 127.5
    # A tooth of 8 × 7 mm across its axis, round the middle of the picture.
    reach = np.hypot(*places.T) * picture.width_mm / PIXELS
    assert reach.min() > 2.3
    assert reach.max() < 4.8
    points = landmark_case.add(scene)
    picture = picture_of(points, points.rows[0])
    display = points.nodes.fiducials.GetDisplayNode()
    color = np.rint(np.array(display.GetSelectedColor()) * 255).astype(np.uint8)
    radius = np.hypot(*(np.argwhere((picture.pixels == color).all(axis=2)) - 127.5).T)
    assert radius.std() < 1
    assert picture_of(points, points.rows[2]) is None


def test_the_scale_bar_is_as_long_as_it_says(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    for row in result.shown_rows:
        picture = picture_of(result, row)
        line = (picture.pixels[PIXELS - BAR_INSET - 2] == 255).all(axis=1)
        run = np.flatnonzero(~line[PIXELS - BAR_INSET - 1::-1])[0]
        assert run * picture.width_mm / PIXELS == pytest.approx(picture.bar_mm, abs=picture.width_mm / PIXELS)
        assert picture.bar_mm <= 0.3 * picture.width_mm


def test_a_scan_of_one_slice_or_without_a_window_is_drawn_too(scene: Any, nodule_case: Any) -> None:
    voxels = np.random.default_rng(0).integers(0, 100, (1, 30, 30)).astype(np.int16)
    volume = Volume(voxels, Grid((1, 30, 30), np.diag([-1.0, -1.0, 3.0, 1.0])))
    box = box_from_index(volume.grid, (0, 10, 10), (1, 15, 15), label="nodule", score=0.9)
    case = dataclasses.replace(nodule_case, volume=volume, findings=Findings(boxes=(box,)))
    volume_node = add_volume(scene, volume)
    result = case.add_to(scene, volume_node)
    scene.RemoveNode(volume_node.GetDisplayNode())
    pixels = picture_of(result, result.rows[0]).pixels
    assert len(np.unique(pixels)) > 50


def test_values_between_voxels_are_linear_and_outside_there_are_none() -> None:
    voxels = np.array([[[0, 10], [20, 30]]], np.int16)
    places = np.array([[0, 0.5, 0.5], [0, 0, 0.25], [0.4, 1, 1], [0, 0, -0.4], [0, 0, -0.6], [0.6, 0, 0]])
    values = interpolated(voxels, places)
    assert values[:4] == pytest.approx([15, 2.5, 30, 0])
    assert np.isnan(values[4:]).all()


def test_a_png_holds_the_pixels_first_row_on_top(tmp_path: Path) -> None:
    import SimpleITK as sitk

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png_bytes(pixels))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png"))), pixels)


def test_pictures_in_the_page_are_those_that_were_drawn(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    sources = Page(report_html(result)).sources
    for row, source in zip(result.shown_rows, sources, strict=True):
        assert b64decode(source.split(",")[1]) == png_bytes(picture_of(result, row).pixels)


def test_the_edge_of_a_shape_is_one_pixel_wide() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:6] = True
    inner = np.zeros((6, 6), bool)
    inner[2:4, 2:5] = True
    assert np.array_equal(edge_of(mask), mask & ~inner)
