"""Pictures of segments: outlines in their colours where the teeth are, the jaws unrolled, surfaces in 3-D."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.segments import ShownSegment
from medslicer.nodes.volumes import add_volume, dental_window
from medslicer.pictures.offscreen import PICTURE_PIXELS
from medslicer.pictures.panoramic import PIXEL_MM
from medslicer.pictures.panoramic_picture import SCALE, STRIP
from medslicer.pictures.pictures import draw_scene
from medslicer.pictures.segment_pictures import badge
from medslicer.results.results import add_findings
from medslicer.views.sights import Sights, sights_of_segments

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL and OSMesa are Linux libraries")

TOOTH_MM = (4.0, 3.5, 9.0)
Picture = NDArray[np.int_]


@pytest.fixture(scope="module")
def drawn(jaw: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Picture], Sights]:
    """The pictures as `[row, column, rgb]`, and where the views look."""
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("scene")
    with HeadlessSlicer() as headless:
        node = add_volume(headless.scene, jaw.volume, dental_window(jaw.volume))
        nodes = add_findings(headless.scene, jaw.findings, node, name="Teeth", task="segment", labels=jaw.labels)
        sights = sights_of_segments(nodes.segmentation, node)
        save_scene(headless.scene, folder / "scene.mrb")
    paths = draw_scene(folder / "scene.mrb", folder)
    assert [path.name for path in paths] == ["axial.png", "coronal.png", "sagittal.png", "panoramic.png", "view3d.png"]
    return {path.stem: read_png(sitk, path) for path in paths}, sights


def read_png(sitk: Any, path: Path) -> Picture:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)[..., :3]


def of_color(picture: Picture, jaw: Any, name: str, near: int = 14) -> NDArray[np.int_]:
    """The pixels `[n, 2]` (row, column) in the colour of the label `name`."""
    color = next(label.color for label in jaw.labels if label.name == name)
    return np.argwhere((np.abs(picture - np.array(color) * 255) <= near).all(axis=-1))


@pytest.mark.parametrize(("plane", "across", "up"), [("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)])
def test_teeth_that_the_slice_meets_are_outlined_where_they_are(
    drawn: tuple[dict[str, Picture], Sights], jaw: Any, plane: str, across: int, up: int
) -> None:
    pictures, sights = drawn
    sight = sights.of(plane.capitalize())
    scale, through = PICTURE_PIXELS / sight.field_of_view_mm, 3 - across - up
    met = 0
    for value, center in jaw.centers_ras.items():
        off = (sight.centre_ras[through] - center[through]) / TOOTH_MM[through]
        if value not in (11, 16, 26, 36, 46) or abs(off) > 0.8:
            continue
        met += 1
        pixels = of_color(pictures[plane], jaw, str(value))
        # All three have the low coordinate (left, posterior, inferior) on the right or below.
        column = PICTURE_PIXELS / 2 + (sight.centre_ras[across] - center[across]) * scale
        row = PICTURE_PIXELS / 2 + (sight.centre_ras[up] - center[up]) * scale
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        assert (low + high) / 2 == pytest.approx([row, column], abs=0.8 * scale)
        section = 2 * np.sqrt(1 - off**2) * np.array([TOOTH_MM[up], TOOTH_MM[across]]) * scale
        assert high - low == pytest.approx(section, abs=1.5 * scale)
    assert met >= 1


def test_the_panorama_shows_the_patients_right_on_the_left_and_the_head_up(
    drawn: tuple[dict[str, Picture], Sights], jaw: Any
) -> None:
    picture = drawn[0]["panoramic"][STRIP:]
    middles, heights = {}, {}
    for name in ("16", "11", "26", "36", "46", "Mandibular canal"):
        pixels = of_color(picture, jaw, name)
        middles[name] = (pixels.max(axis=0) + pixels.min(axis=0)) / 2
        heights[name] = np.ptp(pixels[:, 0])
    assert middles["16"][1] < middles["11"][1] < middles["26"][1]
    assert middles["46"][1] < middles["36"][1]
    assert max(middles[name][0] for name in ("16", "11", "26")) < min(middles[name][0] for name in ("36", "46"))
    assert middles["Mandibular canal"][0] > middles["46"][0]
    for name in ("16", "11", "26", "36", "46"):
        assert heights[name] == pytest.approx(2 * TOOTH_MM[2] / PIXEL_MM * SCALE, abs=8)


def test_every_tooth_has_a_badge_in_the_panorama(drawn: tuple[dict[str, Picture], Sights], jaw: Any) -> None:
    picture = drawn[0]["panoramic"][STRIP:]
    for name in ("16", "11", "26", "36", "46"):
        pixels = of_color(picture, jaw, name)
        row, column = ((pixels.max(axis=0) + pixels.min(axis=0)) / 2).astype(int)
        around = picture[row - 9 : row + 10, column - 11 : column + 12]
        # White letters on something darker than the tooth that they stand on.
        assert (around.min(axis=-1) > 200).sum() > 15
        assert np.median(around) < 130


def test_3d_shows_the_teeth_from_the_front_in_their_colours(
    drawn: tuple[dict[str, Picture], Sights], jaw: Any
) -> None:
    picture = drawn[0]["view3d"]
    assert picture[5, PICTURE_PIXELS - 5].max() < 70
    # Shaded: the hue tells, not the brightness.
    hue = picture / np.maximum(picture.max(axis=-1, keepdims=True), 1)
    places = {}
    for label in jaw.labels:
        color = np.array(label.color) / max(label.color)
        alike = (np.abs(hue - color) < 0.045).all(axis=-1) & (picture.max(axis=-1) > 110)
        assert alike.sum() > 150, label.name
        places[label.name] = np.argwhere(alike).mean(axis=0)
    assert places["11"][1] < places["26"][1]
    assert places["46"][1] < places["36"][1]
    assert places["11"][0] < places["46"][0]


def test_badges_are_the_shorter_of_name_and_number_and_nothing_on_what_is_no_tooth() -> None:
    def shown(name: str, fdi: str, flags: tuple[str, ...] = ()) -> ShownSegment:
        return ShownSegment("id", name, 1, (1, 1, 1), fdi, 0.5, flags)

    assert badge(shown("Permanent maxillary right central incisor tooth", "11")) == "11"
    assert badge(shown("8", "11")) == "8"
    assert badge(shown("Tooth without number 1", "", ("number unsure",))) == "?"
    assert badge(shown("Mandibular canal", "")) == ""
