"""Objects that overlap, from the network to the files: each keeps the voxels that plain numpy gives it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voxelwise import one_pass, voxelwise, write_package

from medinfer.command.handed_over import read_label_map, write_label_map
from medinfer.command.results import write_results
from medinfer.errors import PackageError
from medinfer.findings import Findings
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import load_package
from medinfer.preparation.focus import focused_on
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid, Volume

# A voxel of the scan counts how deep it lies: 1 oedema, 2 core, 3 enhancing; -3 is a stone elsewhere.
NESTED = voxelwise([[1], [1], [1], [-1]], [-0.5, -1.5, -2.5, -0.5])
OVERLAP = {"kind": "segments", "overlap": True}
TUMOUR = ["whole", "core", "enhancing", "stone"]


@pytest.fixture
def scan() -> Volume:
    voxels = np.zeros((20, 24, 28), np.float32)
    voxels[3:14, 4:17, 5:20] = 1
    voxels[5:12, 6:14, 7:16] = 2
    voxels[7:10, 8:11, 9:12] = 3
    voxels[16:18, 20:22, 22:25] = -3
    matrix = np.diag([-1.1, 0.8, 1.5, 1])
    matrix[:3, 3] = (10.0, -20.0, 30.0)
    return Volume(voxels, Grid(voxels.shape, matrix), "head")


def package(folder: Path, decoder: Any = OVERLAP, spacing: Any = None, **fields: Any) -> Path:
    one = one_pass("tumour", NESTED, decoder, labels=TUMOUR)
    if spacing:
        one["prepare"]["spacing"] = spacing
    fields = {"task": "segment", "result": [{"of": "tumour", "as": "objects"}], "labels": TUMOUR, **fields}
    return write_package(folder, {"tumour": NESTED}, [one], **fields)


def find(folder: Path, volume: Volume) -> Findings:
    loaded = load_package(folder)
    with open_package(loaded, backend="onnxruntime", precision="float32", threads=1) as session:
        return run(volume, loaded, session)


def masks(findings: Findings, volume: Volume) -> dict[str, np.ndarray]:
    """Each segment's voxels on the whole scan, from its layer."""
    assert findings.label_map is not None
    layers = [layer.whole(volume).voxels for layer in findings.label_map.layers]
    return {segment.label: layers[segment.layer or 0] == segment.value for segment in findings.segments}


def expected(volume: Volume) -> dict[str, np.ndarray]:
    return {
        "whole": volume.voxels > 0.5, "core": volume.voxels > 1.5, "enhancing": volume.voxels > 2.5,
        "stone": volume.voxels < -0.5,
    }


def test_each_object_has_all_of_its_voxels_in_as_few_layers_as_overlap(scan: Volume, tmp_path: Path) -> None:
    findings = find(package(tmp_path / "p"), scan)
    assert [(entry.label, entry.value, entry.layer) for entry in findings.segments] == [
        ("whole", 1, 0), ("core", 2, 1), ("enhancing", 3, 2), ("stone", 4, 0)
    ]
    assert findings.run["threshold"] == 0.5
    for name, mask in masks(findings, scan).items():
        np.testing.assert_array_equal(mask, expected(scan)[name], err_msg=name)
        entry = next(entry for entry in findings.segments if entry.label == name)
        assert entry.volume_mm3 == pytest.approx(mask.sum() * 1.1 * 0.8 * 1.5)
        np.testing.assert_allclose(entry.center_ras, scan.grid.to_ras(np.argwhere(mask).mean(axis=0)), atol=1e-6)


@pytest.mark.parametrize("decide", ["network", "logits"])
def test_on_another_spacing_each_is_as_it_would_be_alone(scan: Volume, tmp_path: Path, decide: str) -> None:
    spacing = [1.9, 1.2, 1.0]
    together = masks(find(package(tmp_path / "all", {**OVERLAP, "decide": decide}, spacing), scan), scan)
    assert (together["whole"] & together["core"] & together["enhancing"]).any()
    for number, name in enumerate(TUMOUR):
        network = voxelwise([[-1 if name == "stone" else 1]], [-(number + 0.5) if number < 3 else -0.5])
        one = one_pass("alone", network, {"kind": "segments", "decide": decide}, labels=[name])
        one["prepare"]["spacing"] = spacing
        folder = write_package(
            tmp_path / name, {"alone": network}, [one], task="segment", result=[{"of": "alone", "as": "objects"}],
            labels=[name],
        )
        np.testing.assert_array_equal(together[name], masks(find(folder, scan), scan)[name], err_msg=name)


def test_a_vessel_of_a_second_network_stays_in_the_lung_of_the_first(scan: Volume, tmp_path: Path) -> None:
    """Without overlap the earlier network keeps the voxels, as ever."""
    lung, vessel = voxelwise([[1]], [-0.5]), voxelwise([[1]], [-1.5])
    found = {}
    for overlap in (False, True):
        passes = [
            one_pass("lung", lung, {"kind": "segments"}, labels=["lung"]),
            one_pass("vessel", vessel, {"kind": "segments", "overlap": overlap}, labels=["vessel"]),
        ]
        folder = write_package(
            tmp_path / str(overlap), {"lung": lung, "vessel": vessel}, passes, task="segment",
            labels=["lung", "vessel"], result=[{"of": "lung", "as": "objects"}, {"of": "vessel", "as": "objects"}],
        )
        found[overlap] = find(folder, scan)
    assert [entry.label for entry in found[False].segments] == ["lung"]
    inside = masks(found[True], scan)
    np.testing.assert_array_equal(inside["lung"], scan.voxels > 0.5)
    np.testing.assert_array_equal(inside["vessel"], scan.voxels > 1.5)


def test_overlapping_labels_are_boxes_and_channels_of_a_next_network(scan: Volume, tmp_path: Path) -> None:
    # The rim: in the whole (channel 1), and not in the core (channel 2), which the whole contains.
    rim = voxelwise([[0, 1, -1]], [-0.5])
    folder = write_package(
        tmp_path / "fed", {"tumour": NESTED, "rim": rim},
        [one_pass("tumour", NESTED, OVERLAP, labels=TUMOUR),
         one_pass("rim", rim, {"kind": "segments"}, labels=["rim"],
                  fed=[{"role": "labels", "of": "tumour", "labels": ["whole", "core"]}])],
        task="segment", result=[{"of": "rim", "as": "objects"}], labels=[*TUMOUR, "rim"],
    )
    fed = find(folder, scan)
    np.testing.assert_array_equal(masks(fed, scan)["rim"], expected(scan)["whole"] & ~expected(scan)["core"])
    boxed = find(package(tmp_path / "boxes", task="detect", result=[{"of": "tumour", "as": "boxes"}]), scan)
    sizes = {box.label: box.size_mm for box in boxed.boxes}
    assert set(sizes) == set(TUMOUR)
    for name, mask in expected(scan).items():
        edges = [np.ptp(along) + 1 for along in np.nonzero(mask)]
        np.testing.assert_allclose(sizes[name], np.multiply(edges, (1.5, 0.8, 1.1))[::-1], atol=1e-6)


def test_files_say_which_layer_a_segment_is_in(scan: Volume, tmp_path: Path) -> None:
    folder = package(tmp_path / "p")
    findings = find(folder, scan)
    written = write_results(tmp_path, "out", scan, findings, load_package(folder).manifest, {})
    assert written is not None
    assert [path.name for path in written.files] == [
        "findings.json", "voxelwise-layer0.nii.gz", "voxelwise-layer1.nii.gz", "voxelwise-layer2.nii.gz",
        "voxelwise.csv",
    ]
    told = json.loads((written.folder / "findings.json").read_text())
    rows = list(csv.DictReader(io.StringIO((written.folder / "voxelwise.csv").read_text())))
    for segment, row in zip(told["segments"], rows, strict=True):
        assert (row["label"], row["value"], row["layer"]) == (
            segment["label"], str(segment["value"]), str(segment["layer"])
        )
        layer = read_volume(written.folder / f"voxelwise-layer{segment['layer']}.nii.gz")
        assert layer.shape == scan.shape
        np.testing.assert_array_equal(
            np.asarray(layer.voxels) == segment["value"], expected(scan)[segment["label"]]
        )
    assert Findings.from_json(findings.to_json()).segments == findings.segments
    with pytest.raises(ValueError, match="take each of its layers"):
        findings.label_map.whole(scan)
    write_label_map(findings.label_map, tmp_path / "labels.npy")
    back = read_label_map(tmp_path / "labels.npy", findings.label_map.grid.ijk_to_ras.tolist())
    assert len(back.layers) == 3
    for one, other in zip(back.layers, findings.label_map.layers, strict=True):
        np.testing.assert_array_equal(one.voxels, other.voxels)


def test_where_nothing_overlaps_the_result_is_as_without_it(scan: Volume, tmp_path: Path) -> None:
    flat = replace(scan, voxels=np.clip(scan.voxels, -3, 1))
    findings = find(package(tmp_path / "p"), flat)
    assert [(entry.label, entry.layer) for entry in findings.segments] == [("whole", None), ("stone", None)]
    assert "layer" not in findings.to_json()
    assert "layer" not in findings.segments_csv()
    assert findings.label_map.whole(flat).voxels.max() == 4


def test_layers_that_a_region_of_interest_empties_are_gone(scan: Volume, tmp_path: Path) -> None:
    # Around the stone alone.
    findings = find(package(tmp_path / "p"), focused_on(scan, (15, 18, 20), (20, 24, 28)))
    assert [(entry.label, entry.layer) for entry in findings.segments] == [("stone", None)]


@pytest.mark.parametrize(
    ("decoder", "words"),
    [({"activation": "softmax"}, "overlap needs a probability for each label"),
     ({"activation": "sigmoid", "order": ["core", "whole"]}, "keeps all labels, and none wins"),
     ({"labels": TUMOUR[:3]}, "network.channels is wrong: it is 4, but must be 3, one per label")],
)
def test_what_contradicts_overlap_is_named(tmp_path: Path, decoder: dict[str, Any], words: str) -> None:
    folder = package(tmp_path / "p")
    manifest = json.loads((folder / "model.json").read_text())
    labels = decoder.pop("labels", TUMOUR)
    manifest["passes"][0]["decoder"].update(decoder)
    manifest["passes"][0]["labels"] = labels
    (folder / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(PackageError, match=words):
        load_package(folder)
