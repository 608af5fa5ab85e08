"""The command `medinfer detect`, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medinfer
from medinfer.command.cli import main
from medinfer.findings import Findings
from medinfer.scans.reading import read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

Make = Callable[..., Path]


@pytest.fixture
def scan(blob_scan: Any, tmp_path: Path) -> Path:
    path = tmp_path / "chest.nii.gz"
    write_volume(blob_scan[0], path)
    return path


def detect(*arguments: Any) -> int:
    return main(["detect", "--no-scene", *map(str, arguments)])


def another(scan: Path, path: Path) -> Path:
    """A scan of another patient: one voxel differs."""
    volume = read_volume(scan)
    voxels = volume.voxels.copy()
    voxels[0, 0, 0] += 1
    write_volume(volume.with_voxels(voxels), path)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_scan_gives_a_folder_with_json_and_csv(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert detect(scan, "-o", out, "--model", blob_package(), "--precision", "float32") == 0
    assert names(out) == {"chest"}
    assert names(out / "chest") == {"findings.json", "nodules.csv"}
    findings = Findings.from_json((out / "chest" / "findings.json").read_text())
    assert len(findings.boxes) == 2
    said = capsys.readouterr().out
    for word in ["2 found", "cpu", "float32", "seconds: read", "network", "nodules.csv", "Not for clinical use"]:
        assert word in said


def test_json_lines_are_all_that_is_printed(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect(scan, "-o", tmp_path / "out", "--model", blob_package(), "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (result,) = [event for event in events if event["event"] == "result"]
    assert result["found"] == 2
    assert {"progress", "result", "summary"} <= {event["event"] for event in events}


def test_a_second_run_skips_what_is_done_unless_told_otherwise(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, model = tmp_path / "out", blob_package()
    detect(scan, "-o", out, "--model", model)
    written = (out / "chest" / "findings.json").stat().st_mtime_ns
    capsys.readouterr()
    assert detect(scan, "-o", out, "--model", model) == 0
    assert "skipped" in capsys.readouterr().out
    assert (out / "chest" / "findings.json").stat().st_mtime_ns == written
    assert detect(scan, "-o", out, "--model", model, "--overwrite") == 0
    assert (out / "chest" / "findings.json").stat().st_mtime_ns > written
    assert names(out) == {"chest"}


def test_results_of_another_setting_are_not_silently_kept_or_replaced(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, model = tmp_path / "out", blob_package()
    detect(scan, "-o", out, "--model", model)
    assert detect(scan, "-o", out, "--model", model, "--threshold", "0.9") == 1
    assert "at another threshold; choose another folder, or use --overwrite" in capsys.readouterr().err


def test_an_overlap_is_obeyed_kept_and_not_mixed_with_another(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, model = tmp_path / "out", blob_package()
    runs = {}
    for name, more in (("plain", []), ("wide", ["--overlap", "0.6"])):
        assert detect(scan, "-o", out / name, "--model", model, *more) == 0
        runs[name] = Findings.from_json((out / name / "chest" / "findings.json").read_text()).run
    assert runs["wide"]["tiles"] > runs["plain"]["tiles"]
    assert (runs["plain"].get("overlap"), runs["wide"]["overlap"]) == (None, 0.6)
    assert detect(scan, "-o", out / "wide", "--model", model, "--overlap", "0.6") == 0
    assert "already done, skipped" in capsys.readouterr().out
    for name, more in (("plain", ["--overlap", "0.6"]), ("wide", ["--overlap", "0.5"]), ("wide", [])):
        assert detect(scan, "-o", out / name, "--model", model, *more) == 1
        assert "with another tile overlap; choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["1", "-0.5", "half"])
def test_an_overlap_that_is_no_share_is_refused(scan: Path, tmp_path: Path, share: str) -> None:
    with pytest.raises(SystemExit):
        detect(scan, "-o", tmp_path / "out", "--overlap", share)


def test_a_folder_of_the_user_is_never_replaced(scan: Path, blob_package: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "chest").mkdir(parents=True)
    (out / "chest" / "thesis.txt").write_text("precious")
    for overwrite in ([], ["--overwrite"]):
        assert detect(scan, "-o", out, "--model", blob_package(), *overwrite) == 1
        assert names(out / "chest") == {"thesis.txt"}


def test_another_patient_of_the_same_file_name_is_not_taken_for_done(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = another(scan, tmp_path / "other" / scan.name)
    out, model = tmp_path / "out", blob_package()
    detect(scan, "-o", out, "--model", model)
    detect(other, "-o", out, "--model", model)
    assert names(out) == {"chest", "chest-2"}
    capsys.readouterr()
    assert detect(other, "-o", out, "--model", model) == 0
    assert "chest-2: already done" in capsys.readouterr().out


def test_one_bad_scan_does_not_stop_the_others(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"")
    out = tmp_path / "out"
    assert detect(bad, scan, tmp_path / "missing.nrrd", "-o", out, "--model", blob_package()) == 1
    told = capsys.readouterr()
    assert names(out) == {"chest"}
    assert "1 done, 0 skipped, 2 failed" in told.out
    assert "bad.nii.gz" in told.err
    assert "missing.nrrd" in told.err


def test_a_scan_that_is_not_there_is_named_once(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.nii.gz"
    assert detect(missing, scan, "-o", tmp_path / "out", "--model", blob_package()) == 1
    said = capsys.readouterr()
    assert said.err == f"error: {missing} does not exist; check the path.\n"
    assert f"1 done, 0 skipped, 1 failed ({missing})\n" in said.out
    assert "check the path" not in said.out


def test_scans_of_the_same_name_get_folders_of_their_own(scan: Path, blob_package: Make, tmp_path: Path) -> None:
    other = another(scan, tmp_path / "other" / scan.name)
    assert detect(scan, other, "-o", tmp_path / "out", "--model", blob_package()) == 0
    assert names(tmp_path / "out") == {"chest", "chest-2"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nothing"], ["There is no model 'nothing'", "or one of chest-nodules."]),
        (["--device", "cuda:7"], ["cuda"]),
        (["--backend", "torch"], ["torch", "onnx"]),
        (["--device", "toaster"], ["toaster"]),
        # Of graphics cards alone: no processor has it.
        (["--precision", "tf32"], ["tf32"]),
    ],
)
def test_what_is_not_there_is_refused_and_never_replaced(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Any, words: Any
) -> None:
    model = ["--model", str(blob_package())] if "--model" not in arguments else []
    assert detect(scan, "-o", tmp_path / "out", *model, *arguments) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    for word in words:
        assert word in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["detct", "CT.nii.gz"], "Did you mean “detect”?"),
        (["detect", "CT.nii.gz", "-o", "out", "--treshold", "0.5"], "Did you mean “--threshold”?"),
        (["detect", "CT.nii.gz", "--ouput", "out"], "required: -o/--output. Did you mean “--output”?"),
        (["detect", "CT.nii.gz", "-o", "out", "--backend", "openvin"], "Did you mean “openvino”?"),
        (["detect", "CT.nii.gz", "-o", "out", "--model", "chest-nodule"], "Did you mean “chest-nodules”?"),
        (["detect", "CT.nii.gz", "-o", "out", "--device", "cdua"], "Did you mean “cuda”?"),
        (["detect", "CT.nii.gz", "-o", "out", "--precision", "flaot32"], "Did you mean “float32”?"),
        (["fetch", "nodule-slab"], "Did you mean “nodule-slab-2mm”?"),
    ],
)
def test_a_mistyped_word_gets_the_nearest_one_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code: Any = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_graphics_card_of_another_maker_is_pointed_to(
    tmp_path: Path, blob_package: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    from medinfer.backends import available

    if any(place.usable and place.device == "gpu" for place in available()):
        pytest.skip("an Intel graphics card is here")
    assert detect("CT.nii.gz", "-o", tmp_path / "out", "--model", blob_package(), "--device", "gpu") == 2
    assert "an NVIDIA card is called “cuda” here" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "word"), [("add", "SOURCE"), ("fetch", "ID"), ("remove", "ID"), ("models", "ID")])
def test_help_says_what_an_id_and_a_source_are(command: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert {"SOURCE": "SOURCE a model's folder", "ID": "model's id"}[word] in told


def test_an_output_folder_that_cannot_be_made_is_said_before_the_run(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert detect(scan, "-o", tmp_path / "file" / "out", "--model", blob_package()) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_disk_that_fills_leaves_nothing_half_written(scan: Path, blob_package: Make, tmp_path: Path) -> None:
    """A real limit on file sizes stands for the full disk: the write fails in the middle with EFBIG."""
    out = tmp_path / "out"
    code = (
        "import resource, signal, sys\n"
        "from medinfer.command.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "detect", "--no-scene", str(scan), "-o", str(out), "--model", str(blob_package())],
        capture_output=True, text=True, check=False, env=os.environ,
    )
    assert ran.returncode == 1, ran.stderr
    assert "cannot be written" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not out.exists()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200


def test_an_interrupted_run_leaves_nothing_behind(blob_package: Make, tmp_path: Path, blob_scan: Any) -> None:
    # Large enough to take seconds: the signal comes while tiles run.
    voxels = np.tile(blob_scan[0].voxels, (3, 3, 3))
    grid = blob_scan[0].grid.cropped((0, 0, 0), voxels.shape)
    write_volume(Volume(voxels, grid), tmp_path / "large.mha")
    model = blob_package(lambda manifest: manifest["tiling"].update(patch=[8, 8, 8]))
    running = subprocess.Popen(
        [sys.executable, "-m", "medinfer", "detect", str(tmp_path / "large.mha"), "-o", str(tmp_path / "out"),
         "--model", str(model), "--json", "--no-scene"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        if event.get("stage") == "network" and event["done"] > 2:
            running.send_signal(signal.SIGINT)
            break
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert not (tmp_path / "out").exists()


def test_a_stopped_run_says_how_many_scans_were_done(
    scan: Path, blob_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C comes while the first of two scans is written: that one is finished, the second is not begun."""
    def interrupt(*unused: Any) -> list[Path]:
        signal.raise_signal(signal.SIGINT)
        return []

    other = another(scan, tmp_path / "other.nii.gz")
    out = tmp_path / "out"
    words = ["detect", str(scan), str(other), "-o", str(out), "--model", str(blob_package())]
    assert main(words, {"interrupt": interrupt}) == 130
    assert names(out) == {"chest"}
    assert "stopped; 1 of 2 scans were done" in capsys.readouterr().err
    assert main(words, {}) == 0
    assert names(out) == {"chest", "other"}


@pytest.mark.parametrize("command", [["models"], ["devices"], ["models", "--json"]])
def test_lists_are_printed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 0
    said = capsys.readouterr().out
    assert ("nodule-slab-2mm" in said) if command[0] == "models" else ("cpu" in said)


def test_the_engine_starts_without_loading_a_runtime() -> None:
    code = (
        "import sys, medinfer, medinfer.command.cli, medinfer.library.library\n"
        "heavy = {'torch', 'onnxruntime', 'openvino', 'scipy', 'SimpleITK', 'slicer', 'vtk', 'cc3d'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_medinfer_imports_neither_medslicer_nor_medtrain() -> None:

    folder = Path(medinfer.__file__).parent
    wrong = [
        path.name for path in folder.rglob("*.py")
        if re.search(r"^\s*(from|import)\s+(medslicer|medtrain)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert wrong == []
