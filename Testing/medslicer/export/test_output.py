"""From plain data to the files of a scan, as the command line asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.findings import Findings, Landmark
from medinfer.library.package import load_package
from medinfer.manifest import Manifest
from medinfer.volume import Volume
from medslicer.export.output import write_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.segments import shown_segments
from medslicer.pictures.pictures import draw_scene


def test_boxes_and_scene_are_written_under_the_packages_label(
    volume: Volume, findings: Findings, blob_package: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = load_package(blob_package()).manifest
    stages: list[str] = []
    paths = write_scene(volume, findings, manifest, tmp_path / "out", pictures=False, on_stage=stages.append)
    assert [path.name for path in paths] == ["nodules.mrk.json", "scene.mrb"]
    assert stages == ["scene"]
    with HeadlessSlicer() as opened:
        assert opened.scene.ReadFromMRB(str(paths[1]), True)
        assert len(nodes_of(opened.scene, "vtkMRMLMarkupsROINode")) == len(findings.boxes)


@pytest.mark.real
def test_a_real_scan_is_drawn_through_its_nodule(test_data: Path, tmp_path: Path) -> None:
    import csv

    from medinfer.findings import box_from_index
    from medinfer.scans.reading import read_volume
    from medslicer.export.saving import save_scene
    from medslicer.nodes.volumes import add_volume
    from medslicer.results.results import add_findings

    whole = read_volume(test_data / "chest" / "LIDC-IDRI-0001.nii.gz")
    with open(test_data / "chest" / "nodules.csv", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["case"] == "LIDC-IDRI-0001")
    centre = whole.grid.to_index([-float(row["x_lps_mm"]), -float(row["y_lps_mm"]), float(row["z_lps_mm"])])
    # A quarter of the scan around the nodule: the same picture in a fraction of the time.
    start = tuple(int(c - n / 2) for c, n in zip(centre, (30, 160, 160), strict=True))
    grid = whole.grid.cropped(start, (30, 160, 160))
    block = tuple(slice(a, a + n) for a, n in zip(start, grid.shape, strict=True))
    crop = Volume(whole.voxels[block], grid, "crop", "CT")
    radius = float(row["diameter_mm"]) / 2
    low, high = (grid.to_index(whole.grid.to_ras(centre)) + sign * radius / np.array(grid.spacing) for sign in (-1, 1))
    findings = Findings((box_from_index(grid, low, high + 1, label="nodule", score=0.9),))
    with HeadlessSlicer() as headless:
        add_findings(headless.scene, findings, add_volume(headless.scene, crop), name="Nodules")
        save_scene(headless.scene, tmp_path / "scene.mrb")
    paths = draw_scene(tmp_path / "scene.mrb", tmp_path)
    assert [path.name for path in paths] == ["axial.png", "coronal.png", "sagittal.png", "view3d.png"]


def test_a_clip_of_other_values_than_the_scans_is_no_window(jaw: Any, tmp_path: Path) -> None:
    """The bundled tooth model clips what its percentiles made 0 and 1."""
    from medinfer.library.library import find_package

    paths = write_scene(jaw.volume, jaw.findings, find_package("teeth").manifest, tmp_path / "out", pictures=False)
    with HeadlessSlicer() as opened:
        assert opened.scene.ReadFromMRB(str(paths[1]), True)
        display = nodes_of(opened.scene, "vtkMRMLScalarVolumeNode")[0].GetDisplayNode()
        assert display.GetWindowLevelMax() == pytest.approx(1800)


def test_pictures_are_drawn_also_for_a_relative_folder(
    volume: Volume, findings: Findings, blob_package: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = load_package(blob_package()).manifest
    monkeypatch.chdir(tmp_path)
    write_scene(volume, findings, manifest, Path("out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"scene.mrb", "axial.png", "view3d.png"}


def test_landmarks_curve_scene_and_pictures_are_written(
    dots_scan: tuple[Volume, dict[str, np.ndarray]], dots_package: Callable[..., Path], tmp_path: Path
) -> None:
    from medslicer.nodes.fiducials import landmarks_from_fiducials

    volume, truth = dots_scan
    manifest = load_package(dots_package()).manifest
    places = {name: tuple(map(float, place)) for name, place in truth.items()}
    findings = Findings(landmarks=tuple(Landmark(label.name, places.get(label.name), 0.5) for label in manifest.labels))
    stages: list[str] = []
    paths = write_scene(volume, findings, manifest, tmp_path / "out", on_stage=stages.append)
    assert [path.name for path in paths] == [
        "landmarks.mrk.json", "scene.mrb", "axial.png", "coronal.png", "sagittal.png", "view3d.png",
    ]
    assert stages == ["scene", "pictures"]
    with HeadlessSlicer() as opened:
        opened.application_logic.GetModuleLogic("Markups").LoadMarkups(str(paths[0]))
        (fiducials,) = nodes_of(opened.scene, "vtkMRMLMarkupsFiducialNode")
        read = landmarks_from_fiducials(fiducials)
        assert [(one.label, one.status) for one in read] == [(one.label, one.status) for one in findings.landmarks]
        assert len(nodes_of(opened.scene, "vtkMRMLMarkupsCurveNode")) == 1


def test_segmentation_scene_and_pictures_are_written(jaw: Any, teeth_manifest: Manifest, tmp_path: Path) -> None:
    paths = write_scene(jaw.volume, jaw.findings, teeth_manifest, tmp_path / "out")
    assert [path.name for path in paths] == [
        "teeth.seg.nrrd", "scene.mrb", "axial.png", "coronal.png", "sagittal.png", "panoramic.png", "view3d.png",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)
    with HeadlessSlicer() as opened:
        assert opened.scene.ReadFromMRB(str(paths[1]), True)
        (node,) = nodes_of(opened.scene, "vtkMRMLSegmentationNode")
        assert [segment.value for segment in shown_segments(node)] == [one.value for one in jaw.findings.segments]
        # Teeth are white and soft tissue is not black: neither is outside the window.
        display = nodes_of(opened.scene, "vtkMRMLScalarVolumeNode")[0].GetDisplayNode()
        assert display.GetWindowLevelMin() <= 50 < display.GetWindowLevelMax() == pytest.approx(1800)


def test_where_nothing_is_found_there_is_no_picture_in_3d(
    jaw: Any, teeth_manifest: Manifest, volume: Volume, blob_package: Callable[..., Path],
    dots_package: Callable[..., Path], tmp_path: Path
) -> None:
    slices = ["axial.png", "coronal.png", "sagittal.png"]
    boxes, dots = (load_package(package).manifest for package in (blob_package(), dots_package()))
    paths = write_scene(jaw.volume, Findings(), teeth_manifest, tmp_path / "teeth")
    assert [path.name for path in paths] == ["teeth.seg.nrrd", "scene.mrb", *slices]
    paths = write_scene(volume, Findings(), boxes, tmp_path / "boxes")
    assert [path.name for path in paths] == ["nodules.mrk.json", "scene.mrb", *slices]
    missing = tuple(Landmark(label.name, None, 0.0) for label in dots.labels)
    paths = write_scene(volume, Findings(landmarks=missing), dots, tmp_path / "dots")
    assert [path.name for path in paths] == ["landmarks.mrk.json", "scene.mrb", *slices]


@pytest.mark.parametrize(
    ("declare", "shown"),
    [
        (lambda manifest: manifest["card"].update(window=[-160, 240]), (-160, 240)),
        (lambda manifest: manifest["prepare"]["intensity"][0].update(low=-200, high=300), (-200, 300)),
        (lambda manifest: None, (-1350, 150)),
    ],
)
def test_the_window_is_the_one_that_the_model_declares(
    volume: Volume, findings: Findings, blob_package: Callable[..., Path], tmp_path: Path,
    declare: Callable[[Any], None], shown: tuple[float, float],
) -> None:
    manifest = load_package(blob_package(declare)).manifest
    paths = write_scene(volume, findings, manifest, tmp_path / "out", pictures=False)
    with HeadlessSlicer() as opened:
        assert opened.scene.ReadFromMRB(str(paths[1]), True)
        display = nodes_of(opened.scene, "vtkMRMLScalarVolumeNode")[0].GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx(shown)


def test_weaker_candidates_are_in_the_scene_hidden_and_in_no_other_file(
    volume: Volume, findings: Findings, blob_package: Callable[..., Path], tmp_path: Path
) -> None:
    from dataclasses import replace

    best, *weaker = findings.boxes
    kept = replace(findings, boxes=(), candidates=(best, *weaker), run={**findings.run, "threshold": 1.0, "floor": 0.1})
    out = tmp_path / "out"
    paths = write_scene(volume, kept, load_package(blob_package()).manifest, out)
    # Nothing is reported: no picture is of what is not.
    names = ["nodules.mrk.json", "scene.mrb", "axial.png", "coronal.png", "sagittal.png"]
    assert [path.name for path in paths] == names
    with HeadlessSlicer() as opened:
        opened.application_logic.GetModuleLogic("Markups").LoadMarkups(str(out / "nodules.mrk.json"))
        assert nodes_of(opened.scene, "vtkMRMLMarkupsROINode") == []
        assert opened.scene.ReadFromMRB(str(out / "scene.mrb"), True)
        rois = nodes_of(opened.scene, "vtkMRMLMarkupsROINode")
        assert [roi.GetDisplayNode().GetVisibility() for roi in rois] == [0] * len(kept.candidates)
