"""Words in pictures stay clear of each other, and the scale bar shows on white."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, box_from_index
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.volumes import add_volume
from medslicer.pictures.box_numbers import numbers_beside, places_beside
from medslicer.pictures.findings_sheet import LEAST_MM, SEAM, layout_for
from medslicer.pictures.offscreen import PICTURE_PIXELS
from medslicer.pictures.picture_text import LINE, MARGIN, broken, text_width, titles
from medslicer.pictures.pictures import draw_scene
from medslicer.results.results import add_findings

PLANE = "Panoramic, mean of 14 mm"


def corners(actors: list[Any]) -> list[tuple[float, float, str]]:
    return [(*actor.GetPosition(), actor.GetInput()) for actor in actors]


def test_both_titles_stand_on_one_line_where_they_fit() -> None:
    actors, lines = titles("5 found", PLANE, 600, 500)
    assert lines == 1
    assert corners(actors) == [(MARGIN, 500, "5 found"), (600 - MARGIN, 500, PLANE)]


@pytest.mark.parametrize("width", [320, 460, 700])
def test_a_title_never_runs_into_the_caption(width: int) -> None:
    caption = "26 found   flagged: 8, 25, Tooth without number 1, Tooth without number 2 …"
    actors, lines = titles(caption, PLANE, width, 500)
    rows: dict[float, float] = {}
    for _, y, words in corners(actors):
        rows[y] = rows.get(y, 0) + text_width(words)
    assert len(rows) == lines > 1
    assert min(a - b for a, b in zip(sorted(rows)[1:], sorted(rows), strict=False)) == LINE
    assert max(rows.values()) <= width - 2 * MARGIN


def test_a_word_that_is_wider_than_the_picture_stands_alone() -> None:
    assert broken("one Donaudampfschifffahrt two", 60) == ["one", "Donaudampfschifffahrt", "two"]


@pytest.fixture(scope="module")
def white(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.int_]]:
    """Pictures of a scan that is white everywhere, with eight boxes in it."""
    import SimpleITK as sitk

    if not sys.platform.startswith("linux"):
        pytest.skip("EGL and OSMesa are Linux libraries")
    folder = tmp_path_factory.mktemp("scene")
    grid = Grid((40, 90, 90), np.array([[-2.0, 0, 0, 90], [0, -2, 0, 90], [0, 0, 2, -40], [0, 0, 0, 1]]))
    volume = Volume(np.full(grid.shape, 2000, np.int16), grid, "white", "CT")
    boxes = tuple(
        box_from_index(grid, (20, 5 + 10 * n, 40), (24, 10 + 10 * n, 45), label="nodule", score=0.9 - n / 10)
        for n in range(8)
    )
    with HeadlessSlicer() as headless:
        add_findings(headless.scene, Findings(boxes), add_volume(headless.scene, volume), name="Nodules")
        save_scene(headless.scene, folder / "scene.mrb")
    paths = draw_scene(folder / "scene.mrb", folder)
    return {path.stem: sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)[..., :3] for path in paths}


def test_the_scale_bar_shows_on_white(white: dict[str, NDArray[np.int_]]) -> None:
    """180 mm on 900 pixels: a bar of 20 mm is 100 pixels long, on a dark ground."""
    middle, half = PICTURE_PIXELS // 2, 150
    strip = white["axial"][PICTURE_PIXELS - MARGIN - 10, middle - half : middle + half]
    assert strip[[0, -1]].min() > 240
    dark = np.flatnonzero(strip.max(axis=-1) < 140)
    row = strip[dark.min() : dark.max()]
    bar = np.flatnonzero(row.min(axis=-1) > 240)
    runs = np.split(bar, np.flatnonzero(np.diff(bar) > 1) + 1)
    assert max(len(run) for run in runs) == pytest.approx(100, abs=2)
    assert abs((dark.min() + dark.max()) / 2 - half) < 4


def test_every_finding_has_a_row_of_three_planes_on_a_sheet(white: dict[str, NDArray[np.int_]]) -> None:
    assert list(white) == ["axial", "coronal", "sagittal", "findings", "view3d"]
    sheet, layout = white["findings"], layout_for(8)
    wide, high = layout.block
    assert sheet.shape == (4 * high, layout.columns * wide, 3)
    pixels_a_mm = layout.tile / LEAST_MM
    # The edges of a box of 10 × 10 × 8 mm, in each tile around its middle.
    for number in range(8):
        row, column = divmod(number, layout.columns)
        block = sheet[row * high:(row + 1) * high, column * wide:(column + 1) * wide]
        for plane, (across, along) in enumerate([(10, 10), (10, 8), (10, 8)]):
            tile = block[:layout.tile, plane * (layout.tile + SEAM):][:, :layout.tile]
            line = np.argwhere(np.ptp(tile, axis=-1) > 60)
            size = line.max(axis=0) - line.min(axis=0)
            assert size == pytest.approx([along * pixels_a_mm, across * pixels_a_mm], abs=3)
            assert (line.max(axis=0) + line.min(axis=0)) / 2 == pytest.approx([layout.tile / 2] * 2, abs=3)
        # A scale bar of 10 mm on a dark ground below, and dark words above.
        ground = block[layout.tile - 30:layout.tile, :layout.tile].max(axis=-1) < 140
        assert ground.sum() > 10 * pixels_a_mm * 10
        assert (block[5:15, 15:100].max(axis=-1) < 140).mean() > 0.4


def test_boxes_in_the_slices_and_in_3d_have_their_numbers(white: dict[str, NDArray[np.int_]]) -> None:
    """Dark grounds of the numbers: all eight boxes lie in one axial slice, 10 mm apart along A."""
    axial = white["axial"]
    pixels_a_mm = PICTURE_PIXELS / 180
    middle = PICTURE_PIXELS // 2
    for number in range(8):
        right, top = middle + round(5 * pixels_a_mm), middle + round((20 * number - 4) * pixels_a_mm)
        if top < PICTURE_PIXELS - 60:
            beside = axial[top:top + 16, right + 4:right + 14]
            assert (beside.max(axis=-1) < 140).mean() > 0.3, number
    assert (white["view3d"][..., 0] > 0).any()


def test_numbers_stand_beside_their_boxes_and_none_on_another() -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(50, 700, (40, 2))
    rectangles = np.concatenate([low, low + rng.uniform(8, 60, (40, 1))], axis=1)
    sizes = np.tile([22.0, 20.0], (40, 1))
    places = places_beside(rectangles, sizes, 900)
    labels = np.concatenate([places, places + sizes], axis=1)
    assert labels.min() >= 0
    assert labels.max() <= 900
    meets = [
        (labels[:, None, axis] < labels[None, :, axis + 2]) & (labels[None, :, axis] < labels[:, None, axis + 2])
        for axis in (0, 1)
    ]
    assert (meets[0] & meets[1]).sum() == 40
    # Not farther from its own box than two lines.
    gap = np.maximum(rectangles[:, :2] - labels[:, 2:], labels[:, :2] - rectangles[:, 2:])
    assert gap.max() <= 3 + 2 * 20
    # A single one stands at the upper right corner, and within the picture's edge.
    assert places_beside(np.array([[10.0, 10, 50, 50]]), sizes[:1], 900).tolist() == [[53, 30]]
    assert places_beside(np.array([[850.0, 10, 890, 50]]), sizes[:1], 900).tolist() == [[825, 30]]
    assert numbers_beside([], np.zeros((0, 8, 2)), 900) == []
