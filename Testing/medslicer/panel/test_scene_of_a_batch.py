"""A scene that the shell or the batch has written, opened beside a panel: reviewed as one of the panel's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from results_user import ResultsUser

from medinfer.volume import Volume

SHOWN = {
    "MedDetect": ("Nodules", ["Nodule 1", "Nodule 2", "Nodule 3"]),
    "MedLandmark": ("Landmarks", ["T12", "L1", "L3", "L4", "L2", "L5"]),
    "MedToothSeg": ("Teeth", ["16", "11", "26", "36", "46", "Tooth without number 1", "Mandibular canal"]),
}


@pytest.fixture
def spine(volume: Volume, dots_package: Callable[..., Path]) -> Any:
    from medinfer.findings import Findings, Landmark
    from medinfer.library.package import load_package

    names = ("T12", "L1", "L2", "L3", "L4", "L5")
    places = {name: (10.0 * n, 5.0, 100.0 - 30.0 * n) for n, name in enumerate(names) if name not in ("L2", "L5")}
    found = Findings(landmarks=tuple(Landmark(name, places.get(name), 0.5) for name in names), scan=volume.name)
    return volume, found, load_package(dots_package()).manifest


@pytest.fixture(params=sorted(SHOWN))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The module, and the scene that the shell wrote."""
    from medslicer.export.output import SCENE_FILE, write_scene

    case = {"MedDetect": "nodule_case", "MedToothSeg": "teeth_case"}.get(request.param)
    if case:
        found = request.getfixturevalue(case)
        volume, findings, manifest = found.volume, found.findings, found.manifest
    else:
        volume, findings, manifest = request.getfixturevalue("spine")
    write_scene(volume, findings, manifest, tmp_path / "out", pictures=False)
    return request.param, tmp_path / "out" / SCENE_FILE


@pytest.fixture
def opened(written: tuple[str, Path], tmp_path: Path) -> Iterator[ResultsUser]:
    """Someone who opens that scene in Slicer, which is started only now."""
    name, file = written
    with SlicerHarness(tmp_path / "settings") as harness:
        user = ResultsUser(harness, harness.load_module(name))
        assert harness.scene.ReadFromMRB(str(file), True)
        harness.process_events()
        yield user


def test_the_panel_shows_jumps_accepts_and_deletes(opened: ResultsUser, written: tuple[str, Path]) -> None:
    name, titles = SHOWN[written[0]]
    assert opened.chosen("resultSelector") == name
    assert opened.titles == titles
    opened.click_row(titles[1])
    opened.click("acceptButton")
    assert opened.is_ticked(titles[1])
    (result,) = opened.results
    assert opened.looked_at() == pytest.approx(result.row(2).position_world, abs=1e-3)
    assert result.nodes.folder
    opened.harness.answer(confirm=True)
    opened.click("removeResultButton")
    assert opened.results == ()


def test_the_bars_over_the_slices_keep_their_names_and_colours(opened: ResultsUser) -> None:
    for node in opened.nodes("vtkMRMLSliceNode"):
        assert node.GetLayoutLabel() == node.GetLayoutName()[0]
        assert node.GetLayoutColor() == pytest.approx(getattr(node, f"Get{node.GetLayoutName()}Color")(), abs=1e-5)
    (view,) = opened.nodes("vtkMRMLViewNode")
    assert view.GetLayoutLabel() == "1"
    assert view.GetLayoutColor() == pytest.approx(view.GetThreeDViewBlueColor(), abs=1e-5)
