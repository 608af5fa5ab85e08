"""Files are whole or not there, and open again with everything in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.errors import OutputError
from medinfer.findings import Findings
from medinfer.volume import Volume
from medslicer.export.saving import save_markups, save_scene, save_segmentation
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.rois import box_from_roi
from medslicer.nodes.volumes import add_volume, volume_from_node
from medslicer.results.results import FindingNodes, add_findings
from medslicer.views.sights import sights_of_boxes
from medslicer.views.views import SLICE_VIEWS, turn_views


@pytest.fixture
def nodes(scene: Any, volume: Volume, findings: Findings) -> FindingNodes:
    return add_findings(scene, findings, add_volume(scene, volume), name="Nodules")


def test_a_scene_bundle_opens_with_the_same_findings_and_voxels(
    scene: Any, nodes: FindingNodes, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        read = [box_from_roi(roi) for roi in nodes_of(other.scene, "vtkMRMLMarkupsROINode")]
        assert [(box.label, box.score, box.diameter_mm, box.side) for box in read] == [
            (box.label, box.score, box.diameter_mm, box.side) for box in findings.boxes
        ]
        (volume_node,) = nodes_of(other.scene, "vtkMRMLScalarVolumeNode")
        assert volume_node.GetName() == volume.name
        # The scan is left-handed: Slicer reads it with its slices turned round.
        assert np.array_equal(volume_from_node(volume_node).voxels, volume.voxels[::-1])


def test_a_scene_bundle_opens_on_the_best_finding(
    scene: Any, nodes: FindingNodes, findings: Findings, tmp_path: Path
) -> None:
    (volume_node,) = nodes_of(scene, "vtkMRMLScalarVolumeNode")
    turn_views(scene, volume_node, sights_of_boxes(nodes.rois, volume_node))
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (shown,) = nodes_of(other.scene, "vtkMRMLScalarVolumeNode")
        for layout_name, orientation in SLICE_VIEWS.items():
            slice_node = other.scene.GetNodeByID(f"vtkMRMLSliceNode{layout_name}")
            assert slice_node.GetOrientation() == orientation
            to_ras = slice_node.GetSliceToRAS()
            assert [to_ras.GetElement(row, 3) for row in range(3)] == pytest.approx(
                findings.boxes[0].center_ras, abs=1e-3
            )
            composite = other.scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{layout_name}")
            assert composite.GetBackgroundVolumeID() == shown.GetID()
        (layout,) = nodes_of(other.scene, "vtkMRMLLayoutNode")
        assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
        (camera,) = nodes_of(other.scene, "vtkMRMLCameraNode")
        assert camera.GetLayoutName() == "1"


def test_the_markups_file_is_slicers_own_format_with_names_and_no_foreign_ids(
    nodes: FindingNodes, tmp_path: Path
) -> None:
    save_markups(nodes.rois, tmp_path / "nodules.mrk.json")
    document = json.loads((tmp_path / "nodules.mrk.json").read_text())
    assert "markups-schema-v1" in document["@schema"]
    assert [markup["name"] for markup in document["markups"]] == ["Nodule 1", "Nodule 2", "Nodule 3"]
    assert {markup["coordinateSystem"] for markup in document["markups"]} == {"LPS"}
    assert {point["associatedNodeID"] for markup in document["markups"] for point in markup["controlPoints"]} == {""}


def test_a_run_that_found_nothing_still_writes_a_markups_file(tmp_path: Path) -> None:
    save_markups([], tmp_path / "nodules.mrk.json")
    document = json.loads((tmp_path / "nodules.mrk.json").read_text())
    assert document["markups"] == []
    assert "markups-schema-v1" in document["@schema"]


def test_saving_leaves_no_other_files_and_changes_no_node(scene: Any, nodes: FindingNodes, tmp_path: Path) -> None:
    save_markups(nodes.rois, tmp_path / "nodules.mrk.json")
    save_scene(scene, tmp_path / "scene.mrb")
    assert sorted(os.listdir(tmp_path)) == ["nodules.mrk.json", "scene.mrb"]
    assert all(roi.GetStorageNode() is None or not roi.GetStorageNode().GetFileName() for roi in nodes.rois)


def test_names_that_no_file_may_have_are_saved(
    scene: Any, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    node = add_volume(scene, volume)
    node.SetName("Thorax / 1,0: «Nörgel» *?")
    add_findings(scene, findings, node, name="Nodules: Ø > 4 mm?")
    save_scene(scene, tmp_path / "scan Ü 1.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scan Ü 1.mrb"), True)
        assert nodes_of(other.scene, "vtkMRMLScalarVolumeNode")[0].GetName() == "Thorax / 1,0: «Nörgel» *?"


def test_a_folder_that_cannot_be_is_one_sentence(scene: Any, nodes: FindingNodes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for save in (lambda path: save_markups(nodes.rois, path), lambda path: save_scene(scene, path)):
        with pytest.raises(OutputError) as caught:
            save(tmp_path / "file" / "result")
        assert "\n" not in str(caught.value)
        assert "is a file, not a folder" in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_a_segmentation_is_one_file_and_its_node_keeps_its_own(scene: Any, jaw: Any, tmp_path: Path) -> None:
    node = add_findings(
        scene, jaw.findings, add_volume(scene, jaw.volume), name="Teeth", task="segment", labels=jaw.labels
    ).segmentation
    save_segmentation(node, tmp_path / "out" / "teeth.seg.nrrd")
    assert os.listdir(tmp_path / "out") == ["teeth.seg.nrrd"]
    assert node.GetStorageNode() is None or not node.GetStorageNode().GetFileName()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        save_segmentation(node, tmp_path / "file" / "teeth.seg.nrrd")


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np
    from medinfer.errors import OutputError
    from medinfer.findings import Findings, box_from_index
    from medinfer.volume import Grid, Volume
    from medslicer.headless import HeadlessSlicer
    from medslicer.results.results import add_findings
    from medslicer.export.saving import save_markups, save_scene, save_segmentation
    from medslicer.nodes.volumes import add_volume

    path = Path(sys.argv[1])
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 90, 90)).astype(np.int16)
    volume = Volume(noise, Grid(noise.shape, np.diag([1.0, 1.0, 2.0, 1.0])))
    box = box_from_index(volume.grid, (1, 1, 1), (9, 9, 9), label="nodule", score=0.5)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with HeadlessSlicer() as slicer:
        node = add_volume(slicer.scene, volume)
        nodes = add_findings(slicer.scene, Findings((box,)), node, name="Nodules")
        # No file may grow past so many bytes: writes end as on a full disk, with an error half-way.
        for room, save, what in [
            (1000, save_markups, nodes.rois), (300_000, save_scene, slicer.scene), (1000, save_scene, slicer.scene),
        ]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            try:
                save(what, path)
            except OutputError as error:
                print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a POSIX thing")
def test_a_disk_that_fills_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("of yesterday")
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    sentences = child.stdout.splitlines()
    assert len(sentences) == 3
    for sentence in sentences:
        assert sentence.startswith(f"{path} cannot be written: the file exceeds the size limit there")
    assert path.read_text() == "of yesterday"
    assert os.listdir(tmp_path) == ["result"]


def test_a_bundle_is_a_zip_with_scene_volume_boxes_and_table(scene: Any, nodes: FindingNodes, tmp_path: Path) -> None:
    save_scene(scene, tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        names = sorted(name for name in bundle.namelist() if not name.endswith("/"))
    assert names == sorted([
        "scene/scene.mrml", "scene/Data/CHEST 1.nrrd", "scene/Data/Nodules.tsv", "scene/Data/Nodules.schema.tsv",
        "scene/Data/Nodule 1.mrk.json", "scene/Data/Nodule 2.mrk.json", "scene/Data/Nodule 3.mrk.json",
    ])
