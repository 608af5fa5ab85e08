"""Pictures of landmarks: every point where it is, whatever plane it lies in, with its name beside the bone."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, Landmark
from medinfer.manifest import Label
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.volumes import BONE_WINDOW, add_volume
from medslicer.pictures.names import DOT, LINE_HEIGHT, NamedPoint, named_dots
from medslicer.pictures.offscreen import PICTURE_PIXELS
from medslicer.pictures.pictures import draw_scene
from medslicer.results.results import add_findings
from medslicer.views.sights import MARGIN_MM

GREEN, RED = (0.1, 0.9, 0.2), (1.0, 0.35, 0.28)
# A bent spine, R, A, S: the middle ones lie 24 mm before the ends.
PLACES = {
    "T12": (0, 0, 90), "L1": (4, 18, 60), "L2": (6, 24, 30), "L3": (6, 24, 0), "L4": None, "L5": (0, 0, -60),
}
HIGHEST, LOWEST = 90, -60
PIXELS_A_MM = PICTURE_PIXELS / (HIGHEST - LOWEST + 2 * MARGIN_MM)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL and OSMesa are Linux libraries")


def body() -> Volume:
    """Soft tissue with a block of bone around each place, and one of bone far from all; 4 mm voxels, LPS."""
    grid = Grid((60, 40, 50), np.array([[-4.0, 0, 0, 98], [0, -4, 0, 90], [0, 0, 4, -110], [0, 0, 0, 1]]))
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    voxels = np.full(grid.shape, 40, np.int16)
    for place in filter(None, PLACES.values()):
        voxels[(np.abs(world - place) < (18, 14, 11)).all(axis=-1)] = 500
    return Volume(voxels, grid, "BODY", "CT")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.int_]]:
    """The four pictures as `[row, column, rgb]`."""
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("scene")
    landmarks = tuple(
        Landmark(label, place, 0.9 if place else 0.1, ("too far from L3",) if label == "L5" else ())
        for label, place in PLACES.items()
    )
    with HeadlessSlicer() as headless:
        node = add_volume(headless.scene, body(), BONE_WINDOW)
        add_findings(
            headless.scene, Findings(landmarks=landmarks), node, name="Landmarks", task="landmark",
            labels=[Label(value=1, name="T12", color=GREEN)], chain=False,
        )
        save_scene(headless.scene, folder / "scene.mrb")
    paths = draw_scene(folder / "scene.mrb", folder)
    assert [path.name for path in paths] == ["axial.png", "coronal.png", "sagittal.png", "view3d.png"]
    return {path.stem: sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)[..., :3] for path in paths}


def dots(picture: NDArray[np.int_], color: tuple[float, float, float]) -> list[tuple[float, float]]:
    """The middles (column, row) of the spots of `color` as large as a dot, top down; names stand farther out."""
    from scipy.ndimage import find_objects, label

    alike = (np.abs(picture - np.array(color) * 255) < 50).all(axis=-1)
    spots = find_objects(label(alike, np.ones((3, 3)))[0])
    middles = [
        ((x.start + x.stop - 1) / 2, (y.start + y.stop - 1) / 2) for y, x in spots
        if abs(x.stop - x.start - DOT) <= 2 and abs(y.stop - y.start - DOT) <= 2
    ]
    near = [middle for middle in middles if abs(middle[0] - PICTURE_PIXELS / 2) < 120]
    return sorted(near, key=lambda middle: middle[1])


@pytest.mark.parametrize(("plane", "across"), [("coronal", 0), ("sagittal", 1)])
def test_every_found_landmark_is_drawn_where_it_is_also_beside_the_plane(
    pictures: dict[str, NDArray[np.int_]], plane: str, across: int
) -> None:
    found = [place for place in PLACES.values() if place]
    columns = [place[across] for place in found]
    # Both pictures have the low coordinate (left, posterior) on their right.
    expected = [
        (
            PICTURE_PIXELS / 2 + ((max(columns) + min(columns)) / 2 - place[across]) * PIXELS_A_MM,
            PICTURE_PIXELS / 2 - (place[2] - (HIGHEST + LOWEST) / 2) * PIXELS_A_MM,
        )
        for place in found
    ]
    drawn = [*dots(pictures[plane], GREEN), *dots(pictures[plane], RED)]
    assert np.array(drawn) == pytest.approx(np.array(expected), abs=2.5)
    assert len(dots(pictures[plane], RED)) == 1


def test_axial_shows_the_middle_one_alone_in_the_middle(pictures: dict[str, NDArray[np.int_]]) -> None:
    assert dots(pictures["axial"], GREEN) == [pytest.approx((PICTURE_PIXELS / 2,) * 2, abs=2.5)]
    assert dots(pictures["axial"], RED) == []


def test_bone_stays_in_the_coronal_picture_where_the_spine_leaves_its_plane(
    pictures: dict[str, NDArray[np.int_]]
) -> None:
    bone = (500 - (BONE_WINDOW[1] - BONE_WINDOW[0] / 2)) / BONE_WINDOW[0] * 255
    # The plane lies at A 18; the last vertebra, at A 0 and 14 mm to both sides, would not be in it.
    x, y = dots(pictures["coronal"], RED)[0]
    assert pictures["coronal"][round(y), round(x - 10 * PIXELS_A_MM)] == pytest.approx([bone] * 3, abs=8)


def test_3d_shows_all_landmarks_through_the_bone(pictures: dict[str, NDArray[np.int_]]) -> None:
    picture = pictures["view3d"]
    heights = [y for _, y in dots(picture, GREEN)]
    assert len(heights) == 4
    assert len(dots(picture, RED)) == 1
    assert dots(picture, RED)[0][1] > max(heights)
    ivory = (picture[..., 0] > picture[..., 2] + 10) & (picture[..., 0] > 60)
    assert ivory.mean() > 0.03


def test_names_of_near_points_stand_a_line_apart() -> None:
    points = [NamedPoint(str(n), (0, 0, 0), GREEN) for n in range(4)]
    pixels = np.array([[100.0, 300.0], [100, 308], [100, 200], [100, 295]])
    actors = named_dots(points, pixels, 50, hollow=np.zeros(4, dtype=bool))
    texts = {actor.GetInput(): actor.GetPosition() for actor in actors if actor.IsA("vtkTextActor")}
    assert texts["1"] == (150, 308)
    assert texts["0"] == (150, 308 - LINE_HEIGHT)
    assert texts["3"] == (150, 308 - 2 * LINE_HEIGHT)
    assert texts["2"] == (150, 200)
