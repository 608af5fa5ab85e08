"""Segments that overlap, in real MRML: layers, surfaces, editing, and Slicer's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, Segment
from medinfer.label_map import LabelMap
from medinfer.manifest import Label
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_segmentation
from medslicer.export.stl import write_segment_files
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.labelmaps import layers_of, segment_id
from medslicer.nodes.segment_surfaces import surfaces_world
from medslicer.nodes.segments import shown_segments
from medslicer.nodes.volumes import add_volume
from medslicer.results.results import FindingNodes, add_findings

# Name, value, layer, radius (mm) and the middle (mm from the scan's).
BALLS = (
    ("whole tumour", 1, 0, 11.0, (0, 0, 0)), ("core", 2, 1, 7.0, (1, 0, 2)), ("enhancing", 3, 2, 3.5, (1, 1, 2)),
    ("other", 4, 0, 4.0, (15, 8, 0)),
)


@dataclass(frozen=True)
class Tumour:
    """Balls in each other, and one beside them. masks: by value, on the whole scan."""

    volume: Volume
    findings: Findings
    labels: tuple[Label, ...]
    masks: dict[int, NDArray[np.bool_]]


@pytest.fixture(params=[1, -1], ids=["right-handed", "left-handed"])
def tumour(request: pytest.FixtureRequest) -> Tumour:
    shape, spacing = (30, 40, 50), np.array([1.2, 1.0, 1.5])
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([-1.2, -1.0, 1.5 * request.param])
    matrix[:3, 3] = (30, 20, 100)
    grid = Grid(shape, matrix)
    middle = grid.to_ras((np.array(shape) - 1) / 2)
    world = grid.to_ras(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    masks = {
        value: np.linalg.norm(world - middle - away, axis=-1) < radius for _, value, _, radius, away in BALLS
    }
    layers = [np.zeros(shape, np.uint8) for _ in range(3)]
    for _, value, layer, _, _ in BALLS:
        layers[layer][masks[value]] = value
    segments = tuple(
        Segment(name, value, 0.9, tuple(middle + away), float(masks[value].sum() * spacing.prod()), 2 * radius,
                layer=layer)
        for name, value, layer, radius, away in BALLS
    )
    labels = tuple(Label(value=value, name=name, color=(value / 4, 0.5, 0.5)) for name, value, *_ in BALLS)
    # A block of the scan, as a run hands it on.
    box = tuple(slice(2, n - 1) for n in shape)
    first, *above = (layer[box] for layer in layers)
    label_map = LabelMap(first, grid.cropped((2, 2, 2), first.shape), tuple(above))
    volume = Volume(sum(mask.astype(np.int16) for mask in masks.values()) * 100, grid, "head", "MR")
    return Tumour(volume, Findings(segments=segments, label_map=label_map, scan="head"), labels, masks)


def added(scene: Any, tumour: Tumour) -> FindingNodes:
    volume_node = add_volume(scene, tumour.volume)
    return add_findings(
        scene, tumour.findings, volume_node, name="Tumour", task="segment", labels=tumour.labels
    )


def check(node: Any, tumour: Tumour) -> None:
    """Each segment holds its own voxels, where they are in the scan."""
    assert node.GetSegmentation().GetNumberOfLayers() == 3
    seen = {}
    for layer in layers_of(node):
        for one, value in layer.values.items():
            where = np.argwhere(layer.label_map.voxels == value)
            index = np.rint(tumour.volume.grid.to_index(layer.label_map.grid.to_ras(where))).astype(int)
            seen[one] = np.zeros(tumour.volume.shape, bool)
            seen[one][tuple(index.T)] = True
    assert len(seen) == len(BALLS)
    for shown, (name, value, *_) in zip(shown_segments(node), BALLS, strict=True):
        assert shown.name == name
        np.testing.assert_array_equal(seen[shown.id], tumour.masks[value], err_msg=name)


def test_those_that_do_not_overlap_share_a_layer_and_all_have_surfaces(scene: Any, tumour: Tumour) -> None:
    from vtk import vtkMassProperties

    nodes = added(scene, tumour)
    check(nodes.segmentation, tumour)
    assert [set(layer.values.values()) for layer in layers_of(nodes.segmentation)] == [{1, 4}, {2}, {3}]
    display = nodes.segmentation.GetDisplayNode()
    clear = [value for _, value, *_ in BALLS if display.GetSegmentOpacity3D(segment_id(value)) < 1]
    assert clear == [1, 2], "what has others in it can be seen through"
    surfaces = surfaces_world(nodes.segmentation)
    for _, value, _, radius, away in BALLS:
        size = vtkMassProperties()
        size.SetInputData(surfaces[segment_id(value)])
        size.Update()
        # Slicer smooths, which makes balls of few voxels smaller.
        assert size.GetVolume() == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.15 if radius > 5 else 0.35)
        low, high = np.array(surfaces[segment_id(value)].GetBounds()).reshape(3, 2).T
        middle = tumour.volume.grid.to_ras((np.array(tumour.volume.shape) - 1) / 2)
        np.testing.assert_allclose((low + high) / 2, middle + away, atol=0.5)
    column = nodes.table.GetTable().GetColumnByName("volume_mm3")
    volumes = [float(column.GetValue(row)) for row in range(column.GetNumberOfValues())]
    np.testing.assert_allclose(volumes, [segment.volume_mm3 for segment in tumour.findings.segments])


def test_a_seg_nrrd_is_in_slicers_own_layers_and_read_back_whole(
    scene: Any, tumour: Tumour, tmp_path: Path
) -> None:
    path = tmp_path / "tumour.seg.nrrd"
    save_segmentation(added(scene, tumour).segmentation, path)
    header = path.read_bytes().split(b"\n\n", 1)[0].decode().splitlines()
    fields = dict(line.split(":", 1) for line in header if ":" in line and not line.startswith("#"))
    assert fields["dimension"].strip() == "4"
    assert fields["kinds"].split() == ["list", "domain", "domain", "domain"]
    assert fields["sizes"].split()[0] == "3"
    for number, (name, value, layer, *_) in enumerate(BALLS):
        told = {key: fields[f"Segment{number}_{key}"].removeprefix("=").strip()
                for key in ("Name", "LabelValue", "Layer")}
        # Alone in its layer, a segment has the value 1.
        assert told == {"Name": name, "LabelValue": str(value) if layer == 0 else "1", "Layer": str(layer)}
    with HeadlessSlicer() as other:
        node = other.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        storage = other.scene.CreateNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.UnRegister(None)
        storage.SetFileName(str(path))
        assert storage.ReadData(node)
        check(node, tumour)


def test_one_can_be_edited_and_the_others_stay(scene: Any, tumour: Tumour) -> None:
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    node = added(scene, tumour).segmentation
    erased = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id(2), erased)
    vtk_to_numpy(erased.GetPointData().GetScalars())[:] = 0
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(erased, node, segment_id(2), logic.MODE_REPLACE)
    counts = {
        one: int((layer.label_map.voxels == value).sum())
        for layer in layers_of(node) for one, value in layer.values.items()
    }
    for value in (1, 3, 4):
        assert counts[segment_id(value)] == tumour.masks[value].sum()
    assert counts.get(segment_id(2), 0) == 0


def test_each_has_a_file_of_its_surface(scene: Any, tumour: Tumour, tmp_path: Path) -> None:
    node = added(scene, tumour).segmentation
    # After which two segments have one value, each in its layer.
    save_segmentation(node, tmp_path / "tumour.seg.nrrd")
    assert [shown.value for shown in shown_segments(node)] == [1, 1, 1, 4]
    written = write_segment_files(node, shown_segments(node), tmp_path / "stl")
    assert [path.name for path in written] == ["whole-tumour.stl", "core.stl", "enhancing.stl", "other.stl"]
