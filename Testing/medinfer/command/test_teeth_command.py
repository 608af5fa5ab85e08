"""`medinfer teeth`: segments from a shell, on real files, with the files for Slicer."""

from __future__ import annotations

import csv
import gzip
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peas
import pytest

from medinfer.command.cli import OK, REFUSED, SCAN_FAILED, main
from medinfer.findings import Findings
from medinfer.scans.reading import read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

Make = Callable[..., Path]
TEETH = [*peas.UPPER, *peas.LOWER]


def teeth(*arguments: Any, outputs: Any = None) -> int:
    exact = ("--backend", "onnxruntime", "--precision", "float32", "--threads", "1")
    return main(["teeth", *map(str, arguments), *exact], outputs={} if outputs is None else outputs)


@pytest.fixture
def scan(peas_scan: Volume, tmp_path: Path) -> Path:
    write_volume(peas_scan, tmp_path / "jaw.nii.gz")
    return tmp_path / "jaw.nii.gz"


def findings_in(folder: Path) -> Findings:
    return Findings.from_json((folder / "findings.json").read_text())


def test_a_scan_gives_named_segments_in_json_csv_and_a_label_map(
    scan: Path, peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teeth(scan, "-o", tmp_path / "out", "--model", peas_package()) == OK
    folder = tmp_path / "out" / "jaw"
    assert {path.name for path in folder.iterdir()} == {"findings.json", "peas.csv", "peas.nii.gz"}
    findings = findings_in(folder)
    assert [segment.label for segment in findings.segments] == [*TEETH, peas.CANAL]
    rows = list(csv.DictReader((folder / "peas.csv").open()))
    assert [(row["label"], row["FDI"], row["Universal"]) for row in rows] == [
        *((name, name, peas.UNIVERSAL[name]) for name in TEETH), (peas.CANAL, "", "")
    ]
    labels = read_volume(folder / "peas.nii.gz")
    np.testing.assert_allclose(labels.grid.ijk_to_ras, peas_scan.grid.ijk_to_ras, atol=1e-5)
    counts = {int(value): int(n) for value, n in zip(*np.unique(labels.voxels, return_counts=True), strict=True)}
    del counts[0]
    assert counts == {segment.value: round(segment.volume_mm3) for segment in findings.segments}
    said = capsys.readouterr().out
    for words in ("13 found", "volume mm³", "Mandibular canal", "naming network", "besides 1 network", "peas.nii.gz"):
        assert words in said


def test_slicer_s_files_come_with_it_and_stl_on_request(scan: Path, peas_package: Make, tmp_path: Path) -> None:
    pytest.importorskip("slicer_core")
    from medslicer.export.output import write_scene
    from medslicer.export.stl import write_surfaces

    outputs = {"scene": without_pictures(write_scene), "stl": write_surfaces}
    only_stl = teeth(scan, "-o", tmp_path / "out", "--model", peas_package(), "--no-scene", "--stl", outputs=outputs)
    assert only_stl == OK
    folder = tmp_path / "out" / "jaw"
    assert {path.name for path in folder.iterdir()} == {"findings.json", "peas.csv", "peas.nii.gz", "stl"}
    surfaces = {path.stem for path in (folder / "stl").iterdir()}
    assert surfaces == {*(f"tooth-{name}" for name in TEETH), "mandibular-canal"}
    assert teeth(
        scan, "-o", tmp_path / "all", "--model", peas_package(), "--names", "universal", outputs=outputs
    ) == OK
    folder = tmp_path / "all" / "jaw"
    assert {path.name for path in folder.iterdir()} == {
        "findings.json", "peas.csv", "peas.nii.gz", "peas.seg.nrrd", "scene.mrb"
    }
    header = (folder / "peas.seg.nrrd").read_bytes().split(b"\n\n")[0].decode()
    names = {line.split(":=", 1)[1] for line in header.splitlines() if "_Name:=" in line and line.startswith("Segment")}
    assert names == {*(peas.UNIVERSAL[name] for name in TEETH), peas.CANAL}


def without_pictures(scene: Any) -> Any:
    return lambda *arguments: scene(*arguments, pictures=False)


def test_surfaces_that_nothing_here_can_write_are_said_before_the_run(
    scan: Path, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teeth(scan, "-o", tmp_path / "out", "--model", peas_package(), "--stl") == REFUSED
    assert "--stl needs medslicer" in capsys.readouterr().err


def test_names_of_another_scheme(scan: Path, peas_package: Make, tmp_path: Path) -> None:
    assert teeth(scan, "-o", tmp_path / "out", "--model", peas_package(), "--names", "universal") == OK
    folder = tmp_path / "out" / "jaw"
    labels = [*(peas.UNIVERSAL[name] for name in TEETH), peas.CANAL]
    assert [segment.label for segment in findings_in(folder).segments] == labels
    rows = list(csv.DictReader((folder / "peas.csv").open()))
    assert [(row["label"], row["FDI"]) for row in rows] == list(zip(labels, [*TEETH, ""], strict=True))


def test_a_scheme_the_model_does_not_know_is_said_before_the_run(
    scan: Path, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teeth(scan, "-o", tmp_path / "out", "--model", peas_package(), "--names", "Palmer") == REFUSED
    assert "no label names in the scheme 'Palmer'; it has FDI, Universal, anatomical" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_second_run_skips_what_is_done_and_keeps_other_names_apart(
    scan: Path, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [scan, "-o", tmp_path / "out", "--model", peas_package()]
    assert teeth(*run, "--names", "Universal") == OK
    assert teeth(*run, "--names", "universal") == OK
    assert "already done, skipped" in capsys.readouterr().out
    assert teeth(*run) == SCAN_FAILED
    assert "with other label names" in capsys.readouterr().err
    assert teeth(*run, "--overwrite") == OK
    assert findings_in(tmp_path / "out" / "jaw").segments[0].label == "13"


def test_a_model_for_another_task_is_refused_with_the_right_command(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teeth(scan, "-o", tmp_path / "out", "--model", blob_package()) == REFUSED
    assert "is a model for `medinfer detect`, not for `medinfer teeth`" in capsys.readouterr().err


def test_nothing_found_is_an_answer(
    peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Air, and a scan of one value."""
    for name, value in (("air", -1000), ("constant", 0)):
        write_volume(peas_scan.with_voxels(np.full(peas_scan.shape, value, np.int16)), tmp_path / f"{name}.nrrd")
        assert teeth(tmp_path / f"{name}.nrrd", "-o", tmp_path / "out", "--model", peas_package()) == OK
        assert {path.name for path in (tmp_path / "out" / name).iterdir()} == {"findings.json", "peas.csv"}
        assert findings_in(tmp_path / "out" / name).segments == ()
        said = capsys.readouterr().out
        assert "0 found" in said
        assert "note: nothing was found: the anatomy that this model was trained on is not in view" in said


def only_upper(volume: Volume) -> Volume:
    lower = volume.grid.to_ras(np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1))[..., 2] < 0
    return volume.with_voxels(np.where(lower, -1000, volume.voxels).astype(np.int16))


def with_nan(volume: Volume) -> Volume:
    voxels = volume.voxels.astype(np.float32)
    voxels[0] = np.nan
    return volume.with_voxels(voxels)


@pytest.mark.parametrize(
    ("change", "found", "words"),
    [(only_upper, [*peas.UPPER], ""), (with_nan, [*TEETH, peas.CANAL], "voxels are NaN or infinite")],
)
def test_what_is_there_is_found(
    peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any,
    found: list[str], words: str,
) -> None:
    write_volume(change(peas_scan), tmp_path / "jaw.nrrd")
    assert teeth(tmp_path / "jaw.nrrd", "-o", tmp_path / "out", "--model", peas_package()) == OK
    assert [segment.label for segment in findings_in(tmp_path / "out" / "jaw").segments] == found
    assert words in capsys.readouterr().out


def test_grey_values_of_8_bits_are_taken_where_the_model_says_so(
    peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And where it wants Hounsfield units, they are refused in a sentence."""
    grey = np.clip(np.rint((peas_scan.voxels + 1000) / 15), 0, 255).astype(np.uint8)
    write_volume(peas_scan.with_voxels(grey), tmp_path / "grey.nrrd")

    def percentiles(manifest: dict[str, Any]) -> None:
        del manifest["naming"], manifest["besides"]
        for stage in (manifest, manifest["coarse"]):
            stage["prepare"]["intensity"] = [
                {"op": "percentiles", "low": 1, "high": 100}, {"op": "scale", "subtract": 0.375, "divide": 0.375}
            ]

    def hounsfield(manifest: dict[str, Any]) -> None:
        manifest["coarse"]["prepare"]["hounsfield"] = True

    run = [tmp_path / "grey.nrrd", "-o", tmp_path / "out", "--model"]
    assert teeth(*run, peas_package(hounsfield, "hounsfield")) == SCAN_FAILED
    assert "does not look like a CT in Hounsfield units" in capsys.readouterr().err
    assert teeth(*run, peas_package(percentiles, "percentiles")) == OK
    assert findings_in(tmp_path / "out" / "grey").found == 12


def no_spacing(path: Path) -> None:
    """pixdim and srow of the NIfTI header become 0."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[76:108] = struct.pack("<8f", 1, *[0] * 7)
    data[252:256] = struct.pack("<2h", 0, 0)
    data[280:328] = bytes(48)
    path.write_bytes(gzip.compress(data))




@pytest.mark.parametrize(
    ("shape", "words"), [((2, 3, 3), "but this model needs at least"), ((1, 33, 47), "but this model needs at least")]
)
def test_a_tiny_scan_is_refused_in_a_sentence(
    peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: Any, words: str
) -> None:
    part = Volume(peas_scan.voxels[tuple(map(slice, shape))], peas_scan.grid.cropped((0, 0, 0), shape), "part")
    write_volume(part, tmp_path / "part.nrrd")
    assert teeth(tmp_path / "part.nrrd", "-o", tmp_path / "out", "--model", peas_package()) == SCAN_FAILED
    complained = capsys.readouterr().err
    assert words in complained
    assert len(complained.strip().splitlines()) == 1


def test_a_scan_without_spacing_is_refused_in_a_sentence(
    scan: Path, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_spacing(scan)
    assert teeth(scan, "-o", tmp_path / "out", "--model", peas_package()) == SCAN_FAILED
    assert "gives a voxel spacing of 0 mm along i; correct the spacing in the file" in capsys.readouterr().err


def test_another_modality_is_refused_in_a_sentence(
    peas_scan: Volume, peas_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model for MR refuses what says that it is CT; NIfTI and NRRD don't say."""
    from medinfer.errors import ScanError
    from medinfer.inference.pipeline import open_package, run
    from medinfer.library.package import load_package

    magnetic = Volume(peas_scan.voxels, peas_scan.grid, "head", "MR")
    package = load_package(peas_package())
    with open_package(package) as session, pytest.raises(ScanError, match="head is MR, but this model was made for CT"):
        run(magnetic, package, session)


def test_a_worker_writes_the_label_map_where_it_is_told(
    scan: Path, peas_scan: Volume, peas_package: Make, tmp_path: Path
) -> None:
    job = {
        "scan": str(scan), "model": str(peas_package()), "result": str(tmp_path / "result.json"),
        "label_map": str(tmp_path / "labels.nii.gz"), "backend": "onnxruntime", "precision": "float32", "threads": 1,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    worker = subprocess.Popen(
        [sys.executable, "-m", "medinfer.command.worker", str(tmp_path / "job.json")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert worker.stdout is not None
    events = [json.loads(line) for line in worker.stdout]
    assert worker.wait(timeout=60) == 0
    assert events[-1] == {"event": "result", "file": job["result"]}
    findings = Findings.from_json((tmp_path / "result.json").read_text())
    labels = read_volume(tmp_path / "labels.nii.gz")
    assert labels.shape == peas_scan.shape
    assert set(np.unique(labels.voxels)) == {0, *(segment.value for segment in findings.segments)}


def test_flags_speak_of_the_labels_by_their_new_names(peas_package: Make) -> None:
    from medinfer.command.label_names import renamed
    from medinfer.findings import Segment
    from medinfer.library.package import load_package

    flags = ("number unsure: 13 or 12 or extra tooth", "name unsure: 13", "out of order")
    found = Findings(segments=(Segment("tooth", 200, 0.4, (0, 0, 0), 1.0, 1.0, flags),))
    (segment,) = renamed(found, load_package(peas_package()).manifest, "Universal")[0].segments
    first, second = peas.UNIVERSAL["13"], peas.UNIVERSAL["12"]
    assert segment.flags == (
        f"number unsure: {first} or {second} or extra tooth", f"name unsure: {first}", "out of order"
    )
