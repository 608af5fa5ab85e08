"""Which scan a result is of: its content says so, never its path or its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.command.cli import main
from medinfer.command.earlier import folder_name
from medinfer.command.identity import model_digest, scan_digest
from medinfer.library.package import load_package
from medinfer.scans.reading import read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Grid, Volume

Make = Callable[..., Path]
Detect = Callable[..., str]


@pytest.fixture
def scan(blob_scan: Any, tmp_path: Path) -> Path:
    path = tmp_path / "data" / "chest.nii.gz"
    write_volume(blob_scan[0], path)
    return path


@pytest.fixture
def detect(blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Detect:
    """Run over scans into `tmp_path`/out; what was said, after the exit code was checked."""
    model = blob_package()

    def run(*arguments: Any, code: int = 0, out: Path | None = None) -> str:
        words = ["--no-scene", "-o", str(out or tmp_path / "out"), "--model", str(model), *map(str, arguments)]
        assert main(["detect", *words]) == code
        told = capsys.readouterr()
        return told.out + told.err

    return run


def changed(path: Path) -> None:
    """Another scan saved under the same path."""
    volume = read_volume(path)
    voxels = volume.voxels.copy()
    voxels[0, 0, 0] += 1
    write_volume(volume.with_voxels(voxels), path)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_digest_is_of_voxels_and_geometry_alone(blob_scan: Any, tmp_path: Path) -> None:
    volume = blob_scan[0]
    digest = scan_digest(volume)
    assert scan_digest(Volume(np.asfortranarray(volume.voxels), volume.grid, "other name", "CT", ("a note",))) == digest
    swapped = volume.voxels.astype(volume.voxels.dtype.newbyteorder(">"))
    assert scan_digest(volume.with_voxels(swapped)) == digest
    voxels = volume.voxels.copy()
    voxels[-1, -1, -1] += 1
    assert scan_digest(volume.with_voxels(voxels)) != digest
    moved = volume.grid.ijk_to_ras.copy()
    moved[0, 3] += 0.1
    assert scan_digest(Volume(volume.voxels, Grid(volume.shape, moved))) != digest
    for suffix in (".nii.gz", ".nii", ".mha", ".nrrd"):
        write_volume(volume, tmp_path / f"scan{suffix}")
        assert scan_digest(read_volume(tmp_path / f"scan{suffix}")) == digest, suffix


def test_a_models_digest_changes_with_its_files_and_passes_and_not_with_its_card(blob_package: Make) -> None:
    def digest(change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> str:
        return model_digest(load_package(blob_package(change)))

    plain = digest()
    assert digest(lambda manifest: manifest["card"].update(summary="Finds bright blobs quickly.")) == plain
    assert digest(lambda manifest: manifest["network"]["files"][0].update(sha256="0" * 64)) != plain
    assert digest(lambda manifest: manifest["prepare"].update(spacing=[1, 1, 1])) != plain


def test_another_scan_under_the_same_path_is_run(scan: Path, detect: Detect, tmp_path: Path) -> None:
    detect(scan)
    changed(scan)
    assert "found by blobs" in detect(scan)
    assert names(tmp_path / "out") == {"chest", "chest-2"}
    assert "chest-2: already done" in detect(scan)


def test_a_moved_folder_is_known(scan: Path, detect: Detect, tmp_path: Path) -> None:
    detect(scan.parent)
    scan.parent.rename(tmp_path / "moved")
    assert "moved-chest: already done as data-chest, skipped" in detect(tmp_path / "moved")
    assert names(tmp_path / "out") == {"data-chest"}


def test_one_scan_given_twice_is_done_once(scan: Path, detect: Detect, tmp_path: Path) -> None:
    copy = tmp_path / "copy.nii.gz"
    shutil.copy(scan, copy)
    for more in ([], ["--overwrite"]):
        said = detect(scan, scan, copy, scan.parent, *more, out=tmp_path / f"out{len(more)}")
        assert said.count("found by blobs") == 1
        assert "copy: given twice, done once as chest" in said
        assert names(tmp_path / f"out{len(more)}") == {"chest"}


def test_the_folders_name_does_not_hang_on_how_the_scan_was_named(
    scan: Path, detect: Detect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scan.parent
    monkeypatch.chdir(folder)
    ways = [
        folder, f"{folder}/", ".", "./", "../data", f"{folder}/../data/", f"../data/../{folder.name}", "../data/.",
    ]
    for number, way in enumerate(ways):
        out = tmp_path / f"out{number}"
        detect(way, out=out)
        assert names(out) == {"data-chest"}, way
    for number, way in enumerate([scan, "chest.nii.gz", "./chest.nii.gz", "../data/chest.nii.gz"]):
        out = tmp_path / f"file{number}"
        detect(way, out=out)
        assert names(out) == {"chest"}, way


def test_results_inside_the_input_folder_are_no_scans(scan: Path, detect: Detect, tmp_path: Path) -> None:
    out = scan.parent / "results"
    detect(scan.parent, out=out)
    # What `teeth` writes beside its findings.
    shutil.copy(scan, out / "data-chest" / "teeth.nii.gz")
    shutil.copy(scan, out / "data-chest" / "teeth.seg.nrrd")
    said = detect(scan.parent, out=out)
    assert f"note: {out / 'data-chest'} holds results of an earlier run and was not searched for scans" in said
    assert "data-chest: already done" in said
    assert "failed" not in said
    assert names(out) == {"data-chest"}
    assert "holds only results of earlier runs" in detect(out, code=1)


def test_no_path_is_kept_with_the_results(scan: Path, detect: Detect, tmp_path: Path) -> None:
    detect(scan)
    text = (tmp_path / "out" / "chest" / "findings.json").read_text()
    assert json.loads(text)["run"]["source"] == "chest.nii.gz"
    assert str(tmp_path) not in text


def test_a_scan_from_an_archive_is_kept_under_the_archives_name(scan: Path, detect: Detect, tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(scan, "chest.nii.gz")
    detect(archive)
    (home,) = (tmp_path / "out").iterdir()
    assert json.loads((home / "findings.json").read_text())["run"]["source"] == "study.zip"


def test_results_of_older_versions_are_known_by_the_path_where_the_scan_is_older(
    scan: Path, detect: Detect, tmp_path: Path
) -> None:
    detect(scan)
    path = tmp_path / "out" / "chest" / "findings.json"
    data = json.loads(path.read_text())
    del data["run"]["scan_digest"], data["run"]["model_digest"]
    data["run"]["source"] = str(scan)
    path.write_text(json.dumps(data))
    assert "chest: already done" in detect(scan)
    later = path.stat().st_mtime + 10
    os.utime(scan, (later, later))
    assert "found by blobs" in detect(scan)
    assert names(tmp_path / "out") == {"chest", "chest-2"}


def test_another_network_under_the_same_version_is_not_taken_for_the_same(
    scan: Path, detect: Detect, blob_package: Make, tmp_path: Path
) -> None:
    detect(scan)
    model = blob_package(lambda manifest: manifest["tiling"].update(patch=[16, 16, 16]), "other")
    said = detect(scan, "--model", model, code=1)
    assert "holds results of blobs 1.0.0 with other files or other passes in its model.json" in said


def test_whether_tiles_were_mirrored_is_kept_with_a_result_and_tells_it_from_others(
    scan: Path, detect: Detect, blob_package: Make, tmp_path: Path
) -> None:
    model = blob_package(lambda manifest: manifest["network"].update(mirror=["i"]), "mirrored")
    kept = tmp_path / "out" / "chest" / "findings.json"
    detect(scan, "--model", model)
    assert "mirroring" not in json.loads(kept.read_text())["run"]
    said = detect(scan, "--model", model, "--no-mirroring", code=1)
    assert "holds results of blobs 1.0.0 with another choice of mirrored tiles" in said
    detect(scan, "--model", model, "--no-mirroring", "--overwrite")
    assert json.loads(kept.read_text())["run"]["mirroring"] is False
    assert "already done" in detect(scan, "--model", model, "--no-mirroring")
    # Of a model that mirrors nothing the result is the same.
    detect(scan, "--no-mirroring", out=tmp_path / "plain")
    assert "already done" in detect(scan, out=tmp_path / "plain")


def test_names_are_cut_by_bytes_and_stay_apart() -> None:
    long = "胸" * 72 + "-" + "部" * 30
    cut = folder_name(long)
    assert len(cut.encode()) <= 200
    assert cut != folder_name(long + "x")
    assert cut == folder_name(long)
    assert folder_name("chest-1") == "chest-1"


def test_a_name_taken_meanwhile_by_another_run_is_left_to_it(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another run writes results of another scan, or of this one, while this one is at work."""
    words = ["-o", str(tmp_path / "out"), "--model", str(blob_package())]
    other = tmp_path / "other" / scan.name
    other.parent.mkdir()
    shutil.copy(scan, other)
    changed(other)

    def meanwhile(path: Path) -> Callable[..., list[Path]]:
        def write(*unused: Any) -> list[Path]:
            if not (tmp_path / "out" / "chest").exists():
                assert main(["detect", str(path), *words], {}) == 0
            return []

        return write

    assert main(["detect", str(scan), *words], {"meanwhile": meanwhile(other)}) == 0
    assert names(tmp_path / "out") == {"chest", "chest-2"}
    shutil.rmtree(tmp_path / "out")
    capsys.readouterr()
    assert main(["detect", str(scan), *words], {"meanwhile": meanwhile(scan)}) == 0
    assert names(tmp_path / "out") == {"chest"}
    assert "chest: already done, skipped" in capsys.readouterr().out


def test_two_runs_into_one_folder_do_not_race(scan: Path, blob_package: Make, tmp_path: Path) -> None:
    words = ["detect", str(scan), "-o", str(tmp_path / "out"), "--no-scene", "--model", str(blob_package())]
    running = [
        subprocess.Popen([sys.executable, "-m", "medinfer", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for one in running:
        _, complained = one.communicate(timeout=120)
        assert (one.returncode, complained) == (0, b"")
    assert names(tmp_path / "out") == {"chest"}
