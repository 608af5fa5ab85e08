"""Pictures by Slicer's own displayable managers, drawn without a display."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, box_from_index
from medinfer.manifest import Label
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.volumes import add_volume
from medslicer.pictures.offscreen import PICTURE_PIXELS
from medslicer.pictures.pictures import PictureError, draw_scene
from medslicer.results.results import add_findings
from medslicer.views.sights import NEAR_MM

PIXELS_A_MM = PICTURE_PIXELS / NEAR_MM
NODULE_MM = 24.0
COLOR = (0.1, 0.9, 0.2)
# Grey levels of −1000, −850 and 40 HU in a window of 1500 about −600 HU.
AIR, LUNG, TISSUE = (round((hu + 600 + 750) / 1500 * 255) for hu in (-1000, -850, 40))

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL and OSMesa are Linux libraries")


def chest() -> tuple[Volume, Findings]:
    """A body of soft tissue with two lungs and a ball of 24 mm in the left one, 3 mm voxels, LPS."""
    grid = Grid((60, 70, 100), np.array([[-3.0, 0, 0, 150], [0, -3, 0, 100], [0, 0, 3, -90], [0, 0, 0, 1]]))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    r, a, s = np.moveaxis(grid.to_ras(index), -1, 0)
    voxels = np.full(grid.shape, -1000, np.int16)
    voxels[(r / 140) ** 2 + (a / 95) ** 2 < 1] = 40
    for side in (-65, 65):
        voxels[((r - side) / 50) ** 2 + (a / 70) ** 2 + (s / 75) ** 2 < 1] = -850
    centre = np.array([32, 36, 72])
    low, high = centre - 4, centre + 4
    middle = grid.to_ras((low + high - 1) / 2)
    voxels[(r - middle[0]) ** 2 + (a - middle[1]) ** 2 + (s - middle[2]) ** 2 < (NODULE_MM / 2) ** 2] = 40
    box = box_from_index(grid, low, high, label="nodule", score=0.9, diameter_mm=NODULE_MM, side="left")
    return Volume(voxels, grid, "CHEST", "CT"), Findings((box,))


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    volume, findings = chest()
    path = tmp_path_factory.mktemp("scene") / "scene.mrb"
    with HeadlessSlicer() as headless:
        node = add_volume(headless.scene, volume)
        label = Label(value=1, name="nodule", color=COLOR)
        add_findings(headless.scene, findings, node, name="Nodules", labels=[label])
        save_scene(headless.scene, path)
    return path


@pytest.fixture(scope="module", params=["", "vtkOSOpenGLRenderWindow"], ids=["best available", "OSMesa"])
def pictures(
    request: pytest.FixtureRequest, scene_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, NDArray[np.int_]]:
    """The four pictures as `[row, column, rgb]`, drawn in both ways."""
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("VTK_DEFAULT_OPENGL_WINDOW", request.param)
        else:
            patch.delenv("VTK_DEFAULT_OPENGL_WINDOW", raising=False)
        paths = draw_scene(scene_file, folder)
    assert [path.name for path in paths] == ["axial.png", "coronal.png", "sagittal.png", "view3d.png"]
    return {path.stem: read_png(path) for path in paths}


def read_png(path: Path) -> NDArray[np.int_]:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(int)[..., :3]


def of_the_box(picture: NDArray[np.int_]) -> NDArray[np.bool_]:
    """`[row, column]`: pixels of the box's colour and no grey."""
    return (np.abs(picture - np.array(COLOR) * 255) < 60).all(axis=-1)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_box_is_drawn_in_its_size_around_the_middle(pictures: dict[str, NDArray[np.int_]], plane: str) -> None:
    rows, columns = np.nonzero(of_the_box(pictures[plane]))
    for edge in (rows, columns):
        assert np.ptp(edge) == pytest.approx(NODULE_MM * PIXELS_A_MM, abs=6)
        assert (edge.max() + edge.min()) / 2 == pytest.approx(PICTURE_PIXELS / 2, abs=4)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_lung_window_shows_lung_dark_and_nodule_bright(pictures: dict[str, NDArray[np.int_]], plane: str) -> None:
    picture, middle = pictures[plane], PICTURE_PIXELS // 2
    beside = picture[middle, middle + round((NODULE_MM / 2 + 6) * PIXELS_A_MM)]
    assert beside == pytest.approx([LUNG] * 3, abs=6)
    above = picture[middle - round(NODULE_MM / 4 * PIXELS_A_MM), middle]
    assert above == pytest.approx([TISSUE] * 3, abs=6)


def test_the_patients_left_is_on_the_right_of_the_axial_picture(pictures: dict[str, NDArray[np.int_]]) -> None:
    # The nodule lies in the left lung: from the middle, the body ends sooner on the side where its edge is.
    row = pictures["axial"][PICTURE_PIXELS // 2, :, 0]
    assert row[-50] == pytest.approx(AIR, abs=6)
    assert row[50] > AIR + 20


def test_the_3d_view_shows_the_box_and_the_lungs_on_a_dark_ground(pictures: dict[str, NDArray[np.int_]]) -> None:
    picture = pictures["view3d"]
    assert picture[5, 5].max() < 60
    assert of_the_box(picture).sum() > 100
    bluish = (picture[..., 2] > picture[..., 0] + 15) & (picture[..., 2] > 40)
    assert bluish.mean() > 0.1


@pytest.fixture
def no_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide EGL and OSMesa from child processes: the loader finds empty files of their names first."""
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in ("libEGL.so.1", "libEGL.so", "libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        (folder / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")]))
    monkeypatch.delenv("VTK_DEFAULT_OPENGL_WINDOW", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    return folder


def test_where_nothing_can_draw_one_sentence_names_the_packages(
    scene_file: Path, no_libraries: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(PictureError) as caught:
        draw_scene(scene_file, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert "apt-get install libegl1 libosmesa6" in str(caught.value)
    assert os.listdir(tmp_path / "out") == []


def test_a_file_that_is_no_scene_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "scene.mrb").write_text("not a zip")
    with pytest.raises(PictureError, match=r"scene\.mrb is not a Slicer scene with a scan"):
        draw_scene(tmp_path / "scene.mrb", tmp_path)
    assert os.listdir(tmp_path) == ["scene.mrb"]
