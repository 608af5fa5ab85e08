"""What the views show, as files: without what was rejected or filtered away."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.errors import OutputError
from medinfer.findings import distances_to_next
from medslicer.export.export import _all_as_csv, export_csv, export_markups, export_segmentation, export_surfaces
from medslicer.export.report import export_report
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.fiducials import landmarks_from_fiducials
from medslicer.nodes.labelmaps import layers_of
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.rois import box_from_roi
from medslicer.nodes.segments import shown_segments
from medslicer.nodes.volumes import add_volume
from medslicer.results.measures import add_distance
from medslicer.results.renaming import rename_segments


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_the_csv_names_the_series_that_slicer_noted_and_no_voxel_of_a_box_that_was_removed(
    scene: Any, nodule_case: Any, tmp_path: Path
) -> None:
    import slicer

    result = nodule_case.add(scene)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    tree.SetItemUID(tree.GetItemByDataNode(result.volume_node), "DICOM", "1.2.3")
    scene.RemoveNode(result.nodes.roi(1))
    export_csv(result, tmp_path / "all.csv")
    rows = rows_of(tmp_path / "all.csv")
    assert {row["seriesuid"] for row in rows} == {"1.2.3"}
    assert {row["case"] for row in rows} == {result.volume_node.GetName()}
    assert all(row["i"] and row["slice"] for row in rows)
    (removed, *_) = csv.DictReader(_all_as_csv(result).splitlines())
    assert (removed["i"], removed["slice"]) == ("", "")


def test_the_csv_of_everything_is_that_of_the_command_line_with_reviews(
    scene: Any, nodule_case: Any, teeth_case: Any, landmark_case: Any, tmp_path: Path
) -> None:
    names = {label.name: label.names for label in teeth_case.manifest.labels}
    for case, expected in (
        (nodule_case, nodule_case.findings.boxes_csv(nodule_case.volume.grid.to_index)),
        (landmark_case, landmark_case.findings.landmarks_csv()),
        (teeth_case, teeth_case.findings.segments_csv(names)),
    ):
        result = case.add(scene)
        result.set_review(1, "accepted")
        export_csv(result, tmp_path / "all.csv")
        written = rows_of(tmp_path / "all.csv")
        assert [row.pop("review") for row in written] == ["accepted"] + [""] * (len(written) - 1)
        for row, wanted in zip(written, lines(expected), strict=True):
            if case is teeth_case and wanted["label"] == "tooth":
                wanted["label"] = "Tooth without number 1"
            assert row == wanted


def test_rejected_and_filtered_boxes_are_in_no_file_and_ranks_stay(
    scene: Any, nodule_case: Any, tmp_path: Path
) -> None:
    result = nodule_case.add(scene)
    result.set_review(1, "rejected")
    result.show_from(0.4)
    export_csv(result, tmp_path / "n.csv")
    (row,) = rows_of(tmp_path / "n.csv")
    assert (row["rank"], row["score"], row["side"]) == ("2", "0.5000", "right")
    export_markups(result, tmp_path / "n.mrk.json")
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "n.mrk.json"))
        (roi,) = nodes_of(other.scene, "vtkMRMLMarkupsROINode")
        assert roi.GetName() == "Nodule 2"
        expected = nodule_case.findings.boxes[1]
        assert np.allclose(np.sort(box_from_roi(roi).corners_ras(), 0), np.sort(expected.corners_ras(), 0), atol=1e-4)


def test_a_box_that_the_user_moved_or_removed_is_written_as_it_is_now(
    scene: Any, nodule_case: Any, tmp_path: Path
) -> None:
    result = nodule_case.add(scene)
    result.nodes.roi(1).SetCenter(1.0, 2.0, 3.0)
    scene.RemoveNode(result.nodes.roi(2))
    export_csv(result, tmp_path / "n.csv")
    first, third = rows_of(tmp_path / "n.csv")
    assert (first["r_mm"], first["a_mm"], first["s_mm"]) == ("1.000", "2.000", "3.000")
    assert third["rank"] == "3"


def test_under_a_parent_transform_the_csv_says_where_the_views_show_it(
    scene: Any, any_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], tmp_path: Path
) -> None:
    volume_node = add_volume(scene, any_case.volume)
    matrix = put_under_transform(volume_node)
    export_csv(any_case.add_to(scene, volume_node), tmp_path / "moved.csv")
    found = any_case.findings
    places = [
        *(box.center_ras for box in found.boxes), *(one.position_ras for one in found.landmarks),
        *(one.center_ras for one in found.segments),
    ]
    for row, place in zip(rows_of(tmp_path / "moved.csv"), places, strict=True):
        written = [row[f"{axis}_mm"] for axis in "ras"]
        if place is None:
            assert written == ["", "", ""]
        else:
            assert [float(word) for word in written] == pytest.approx((matrix @ (*place, 1))[:3], abs=1e-3)


def test_markups_stay_in_the_coordinates_of_their_nodes_as_slicer_saves_them(
    scene: Any, landmark_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], tmp_path: Path
) -> None:
    volume_node = add_volume(scene, landmark_case.volume)
    put_under_transform(volume_node)
    export_markups(landmark_case.add_to(scene, volume_node), tmp_path / "l.mrk.json")
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "l.mrk.json"))
        (fiducials,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
        first, *_ = landmarks_from_fiducials(fiducials)
        assert first.position_ras == pytest.approx(landmark_case.findings.landmarks[0].position_ras, abs=1e-4)


def test_landmarks_keep_their_order_and_those_not_shown_are_missing(
    scene: Any, landmark_case: Any, tmp_path: Path
) -> None:
    result = landmark_case.add(scene)
    result.set_review(2, "rejected")
    add_distance(result, 1, 5)
    export_markups(result, tmp_path / "l.mrk.json")
    export_csv(result, tmp_path / "l.csv")
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "l.mrk.json"))
        (fiducials,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
        read = landmarks_from_fiducials(fiducials)
        assert [one.label for one in read] == ["T12", "L1", "L2", "L3", "L4", "L5"]
        assert [one.status for one in read] == ["found", "missing", "missing", "flagged", "found", "missing"]
        assert read[0].position_ras == pytest.approx(landmark_case.findings.landmarks[0].position_ras, abs=1e-4)
        (curve,) = nodes_of(other.scene, "vtkMRMLMarkupsCurveNode")
        assert curve.GetNumberOfControlPoints() == 2
        (line,) = nodes_of(other.scene, "vtkMRMLMarkupsLineNode")
        assert line.GetName() == "T12–L4"
    rows = rows_of(tmp_path / "l.csv")
    assert [row["status"] for row in rows] == ["found", "missing", "missing", "flagged", "found", "missing"]
    assert [row["review"] for row in rows] == ["", "rejected", "", "", "", ""]
    assert (rows[0]["to_next_mm"], rows[1]["r_mm"]) == ("", "")
    step = distances_to_next(landmark_case.findings.landmarks)[3]
    assert rows[3]["to_next_mm"] == f"{step:.2f}"
    # In the scene the point is hidden, not lost.
    assert result.row(2).position_world is not None


def test_a_segmentation_file_holds_the_segments_that_are_shown(scene: Any, teeth_case: Any, tmp_path: Path) -> None:
    result = teeth_case.add(scene)
    export_segmentation(result, tmp_path / "all.seg.nrrd")
    result.set_review(2, "rejected")
    result.show_from(0.5)
    before = layers_of(result.nodes.segmentation)[0].label_map.voxels.copy()
    export_segmentation(result, tmp_path / "some.seg.nrrd")
    assert np.array_equal(layers_of(result.nodes.segmentation)[0].label_map.voxels, before)
    assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1
    values = {"all": [16, 11, 26, 36, 46, 201, 101], "some": [16, 26, 36, 46, 101]}
    with HeadlessSlicer() as other:
        for name, expected in values.items():
            storage = other.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
            node = other.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
            storage.SetFileName(str(tmp_path / f"{name}.seg.nrrd"))
            assert storage.ReadData(node)
            assert [segment.value for segment in shown_segments(node)] == expected
            voxels = layers_of(node)[0].label_map.voxels
            for value in values["all"]:
                count = (before == value).sum() if value in expected else 0
                assert (voxels == value).sum() == count
        tooth = shown_segments(node)[0]
        assert (tooth.name, tooth.fdi) == ("16", "16")


def test_surfaces_are_written_in_the_world_by_fdi_number_whatever_the_names(
    scene: Any, teeth_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]], tmp_path: Path
) -> None:
    volume_node = add_volume(scene, teeth_case.volume)
    matrix = put_under_transform(volume_node)
    result = teeth_case.add_to(scene, volume_node)
    rename_segments(result, "anatomical")
    result.set_review(2, "rejected")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("stays")
    (tmp_path / "out" / "tooth-16.stl").write_text("of yesterday")
    paths = export_surfaces(result, tmp_path / "out")
    assert [path.name for path in paths] == [
        "tooth-16.stl", "tooth-26.stl", "tooth-36.stl", "tooth-46.stl", "tooth-without-number-1.stl",
        "mandibular-canal.stl",
    ]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(["mine.txt", *(path.name for path in paths)])
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.frombuffer(paths[0].read_bytes(), record, offset=84)["corners"].astype(float) * (-1, -1, 1)
    expected = (matrix @ (*teeth_case.findings.segments[0].center_ras, 1))[:3]
    assert corners.mean(axis=(0, 1)) == pytest.approx(expected, abs=0.15)


def test_without_a_segmentation_it_is_one_sentence(
    scene: Any, teeth_case: Any, nodule_case: Any, tmp_path: Path
) -> None:
    teeth = teeth_case.add(scene)
    scene.RemoveNode(teeth.nodes.segmentation)
    for result in (teeth, nodule_case.add(scene)):
        for export in (export_segmentation, export_surfaces):
            with pytest.raises(OutputError, match="has no segmentation: it was removed from the scene"):
                export(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_boxes_or_points_markups_are_one_sentence(
    scene: Any, teeth_case: Any, landmark_case: Any, tmp_path: Path
) -> None:
    landmarks = landmark_case.add(scene)
    for node in (landmarks.nodes.curve, landmarks.nodes.fiducials):
        scene.RemoveNode(node)
    for result in (teeth_case.add(scene), landmarks):
        with pytest.raises(OutputError, match=f"^{result.name} has no boxes or points: they were removed"):
            export_markups(result, tmp_path / "n.mrk.json")
    assert not (tmp_path / "n.mrk.json").exists()


def test_with_everything_rejected_the_files_are_empty_and_valid(scene: Any, any_case: Any, tmp_path: Path) -> None:
    result = any_case.add(scene)
    for row in result.rows:
        result.set_review(row.number, "rejected")
    export_csv(result, tmp_path / "n.csv")
    assert all(not row.get("r_mm") for row in rows_of(tmp_path / "n.csv"))
    if any_case.profile.task == "segment":
        export_segmentation(result, tmp_path / "n.seg.nrrd")
        assert export_surfaces(result, tmp_path / "stl") == []
        return
    export_markups(result, tmp_path / "n.mrk.json")
    with HeadlessSlicer() as other:
        logic = other.application_logic.GetModuleLogic("Markups")
        if any_case.profile.task == "landmark":
            assert logic.LoadMarkups(str(tmp_path / "n.mrk.json"))
            (fiducials,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
            assert fiducials.GetNumberOfDefinedControlPoints() == 0
    assert json.loads((tmp_path / "n.mrk.json").read_text())["markups"] == [] or any_case.profile.task == "landmark"


def test_a_folder_that_cannot_be_is_one_sentence_and_leaves_nothing(scene: Any, any_case: Any, tmp_path: Path) -> None:
    result = any_case.add(scene)
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_text("in the way")
    exports = [export_csv, export_report, export_markups]
    if any_case.profile.task == "segment":
        exports = [export_csv, export_report, export_segmentation, export_surfaces]
    for export in exports:
        with pytest.raises(OutputError, match="is a file, not a folder") as caught:
            export(result, home / "file" / "out")
        assert "\n" not in str(caught.value)
    assert os.listdir(home) == ["file"]


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np
    from medinfer.errors import OutputError
    from medinfer.findings import Findings, Segment
    from medinfer.label_map import LabelMap
    from medinfer.library.package import load_package
    from medinfer.volume import Grid, Volume
    from medslicer.export import export
    from medslicer.headless import HeadlessSlicer
    from medslicer.profiles import PROFILES
    from medslicer.export.report import export_report
    from medslicer.results.result import add_result
    from medslicer.nodes.volumes import add_volume

    folder = Path(sys.argv[1])
    noise = np.random.default_rng(0).integers(-1000, 1000, (60, 60, 60)).astype(np.int16)
    volume = Volume(noise, Grid(noise.shape, np.diag([1.0, 1.0, 1.0, 1.0])))
    values = np.zeros(noise.shape, np.uint8)
    values[5:55, 5:55, 5:55] = noise[5:55, 5:55, 5:55] > 0
    findings = Findings(
        segments=(Segment("Nodule", 1, 0.9, (30.0, 30.0, 30.0), 1000, 50),), label_map=LabelMap(values, volume.grid)
    )
    manifest = load_package(Path(sys.argv[2])).manifest
    manifest = manifest.model_copy(update={"task": "segment"})
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with HeadlessSlicer() as slicer:
        node = add_volume(slicer.scene, volume)
        result = add_result(slicer.scene, findings, node, manifest, PROFILES["MedToothSeg"])
        # No file may grow past so many bytes: writes end as on a full disk, with an error half-way.
        for room, write, name in [
            (50, export.export_csv, "a"), (5000, export_report, "b"), (1000, export.export_segmentation, "c"),
            (1000, export.export_surfaces, "d"),
        ]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            try:
                write(result, folder / name)
            except OutputError as error:
                print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a POSIX thing")
def test_a_disk_that_fills_is_one_sentence_and_leaves_the_old_file(
    blob_package: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text("of yesterday")
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(folder), str(blob_package())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    sentences = child.stdout.splitlines()
    for sentence, name in zip(sentences, "abcd", strict=True):
        assert sentence.startswith(f"{folder / name} cannot be written: the file exceeds the size limit there")
    assert [(folder / name).read_text() for name in "abc"] == ["of yesterday"] * 3
    assert sorted(os.listdir(folder)) in (["a", "b", "c"], ["a", "b", "c", "d"])
