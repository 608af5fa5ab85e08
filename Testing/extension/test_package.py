"""The packed extension: Slicer's Extensions Manager would take it, and what it holds works by itself.

How Slicer installs an archive is written down here from qSlicerExtensionsManagerModel (installExtension,
extractExtensionArchive, parseExtensionDescriptionFile).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from medslicer.address import HOME

REPOSITORY = Path(__file__).resolve().parents[2]


def pack(out: Path, *arguments: str) -> Path:
    """The archive that scripts/pack_extension.py makes."""
    script = REPOSITORY / "scripts" / "pack_extension.py"
    words = [sys.executable, str(script), "--root", str(REPOSITORY), "--out", str(out), *arguments]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (archive,) = out.iterdir()
    return archive


def install(archive: Path, extensions: Path, *, bundle: str = "") -> tuple[str, dict[str, str], Path]:
    """Install an archive as Slicer does: the extension's name, its description, its folder.

    bundle: where macOS has the extension within the archive's folder.
    """
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            names = packed.namelist()
            packed.extractall(extensions / "unpacked")
    else:
        with tarfile.open(archive) as packed:
            names = packed.getnames()
            packed.extractall(extensions / "unpacked", filter="data")
    name = next(PurePosixPath(path).stem for path in names if path.endswith(".s4ext"))
    # The folder at the top is taken from the path of the first entry.
    top = PurePosixPath(names[0]).parts[0]
    assert names[0] != top
    home = extensions / name
    shutil.copytree(extensions / "unpacked" / top / bundle, home)
    shutil.rmtree(extensions / "unpacked")
    lines = (home / "share" / "Slicer-5.10" / f"{name}.s4ext").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return name, {line[0]: " ".join(line[1:]) for line in words}, home


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("dist"), "--os", "linux", "--arch", "amd64")


@pytest.fixture(scope="module")
def installed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed extension's modules, installed, with nothing of the repository around."""
    _, _, home = install(packed, tmp_path_factory.mktemp("Extensions-34045"))
    return home / "lib" / "Slicer-5.10" / "qt-scripted-modules"


def medinfer(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The shell command of the installed extension; it fails where a module of the repository was used instead."""
    code = (
        "import sys; from medinfer.command.cli import main; code = main(sys.argv[1:]);"
        "used = {m.__file__ for n, m in list(sys.modules.items()) if n.split('.')[0] in ('medinfer', 'medslicer')};"
        "sys.exit(code if all(str(f).startswith(sys.path[1]) for f in used) else f'not from the package: {used}')"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "MEDINFER_LIBRARY": str(folder / "library")}
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("system", "architecture", "bundle"),
    [
        ("linux", "amd64", ""),
        ("win", "amd64", ""),
        ("macosx", "arm64", "Slicer.app/Contents/Extensions-34045/MedInfer"),
    ],
)
def test_slicer_installs_the_archive_under_its_name_with_its_modules(
    tmp_path: Path, system: str, architecture: str, bundle: str
) -> None:
    archive = pack(tmp_path / "dist", "--os", system, "--arch", architecture, "--revision", "34045")
    assert archive.name.startswith(f"34045-{system}-{architecture}-MedInfer-git")
    name, description, home = install(archive, tmp_path / "extensions", bundle=bundle)
    assert name == "MedInfer"
    assert description["scm"] == "git"
    assert description["homepage"] == HOME
    assert description["depends"] == "NA"
    assert description["category"] == "Segmentation"
    modules = home / "lib" / "Slicer-5.10" / "qt-scripted-modules"
    assert {path.stem for path in modules.glob("*.py")} == {"MedCore", "MedDetect", "MedLandmark", "MedToothSeg"}
    assert {path.name for path in home.iterdir()} == {"lib", "share"}
    documents = home / "share" / "Slicer-5.10" / "MedInfer"
    assert (documents / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()
    assert (documents / "README.md").is_file()


def test_the_same_commit_packs_to_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "again", "--os", "linux", "--arch", "amd64")
    assert again.name == packed.name
    assert again.read_bytes() == packed.read_bytes()


def test_a_python_without_any_package_packs_it(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "pack_extension.py"
    # No site-packages, nothing from the environment.
    words = [sys.executable, "-S", "-E", str(script), "--root", str(REPOSITORY), "--out", str(tmp_path)]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_another_slicer_has_its_modules_in_another_folder(tmp_path: Path) -> None:
    archive = pack(tmp_path, "--slicer-version", "5.12.1", "--revision", "35000", "--os", "linux", "--arch", "amd64")
    top = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as packed:
        assert f"{top}/lib/Slicer-5.12/qt-scripted-modules/MedCore.py" in packed.getnames()


def test_a_version_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "pack_extension.py"
    words = [sys.executable, str(script), "--slicer-version", "five", "--out", str(tmp_path / "dist")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "Give Slicer's version as X.Y" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_packed_engine_lists_the_packed_models(installed: Path, tmp_path: Path) -> None:
    ran = medinfer(installed, tmp_path, "models", "--json")
    assert ran.returncode == 0, ran.stderr
    bundled = {line["id"] for line in map(json.loads, ran.stdout.splitlines()) if line.get("origin") == "bundled"}
    assert bundled == {"chest-nodules", "vertebrae", "teeth"}


def test_the_packed_engine_runs_a_packed_model_on_a_packed_sample_scan(installed: Path, tmp_path: Path) -> None:
    scan = installed / "Resources" / "SampleData" / "spine.nrrd"
    ran = medinfer(installed, tmp_path, "landmark", str(scan), "-o", "out", "--no-scene", "--threads", "1")
    assert ran.returncode == 0, ran.stderr
    table = (tmp_path / "out" / "spine" / "landmarks.csv").read_text(encoding="utf-8").splitlines()
    found = {row.split(",")[0] for row in table if row.split(",")[1] == "found"}
    assert {"T12", "L1", "L2", "L3", "L4", "L5"} <= found
