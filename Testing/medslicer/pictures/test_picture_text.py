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
from medslicer.pictures.findings_sheet import MOST_ROWS, SEAM, TILE
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


def test_the_best_six_have_a_row_each_on_a_sheet(white: dict[str, NDArray[np.int_]]) -> None:
    assert list(white) == ["axial", "coronal", "sagittal", "findings", "view3d"]
    sheet = white["findings"]
    assert sheet.shape == (MOST_ROWS * (TILE + SEAM), 3 * (TILE + SEAM), 3)
    # 60 mm on 300 pixels: the edges of a box of 10 × 10 × 8 mm, in each tile around its middle.
    for row in range(MOST_ROWS):
        for column, (wide, high) in enumerate([(50, 50), (50, 40), (50, 40)]):
            tile = sheet[row * (TILE + SEAM) :, column * (TILE + SEAM) :][:TILE, :TILE]
            line = np.argwhere(np.ptp(tile, axis=-1) > 60)
            assert line.max(axis=0) - line.min(axis=0) == pytest.approx([high, wide], abs=3)
            assert (line.max(axis=0) + line.min(axis=0)) / 2 == pytest.approx([TILE / 2] * 2, abs=3)
