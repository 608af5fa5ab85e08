"""The extension through real CMake: what a Slicer build would install (Slicer's own macros are stood in for)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "slicer_stand_in"
MODULES = {"MedCore", "MedDetect", "MedLandmark", "MedToothSeg"}


def cmake() -> str:
    """The cmake of the environment that runs the tests, else the system's."""
    found = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if found is None:
        pytest.skip("cmake is not installed: pip install cmake")
    return found


def tracked(*under: str) -> set[str]:
    """The repository's files under some folders: what git tracks or would track."""
    git = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *under]
    listed = subprocess.run(git, check=True, capture_output=True).stdout.decode().split("\0")
    return {name for name in listed if name and (REPOSITORY / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The extension configured, built and installed: the folder of the modules there, and what CMake was told."""
    build, install = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("install")
    # project() asks for compilers, and Python needs none: anything that can be run stands for them.
    compilers = [
        f"-DCMAKE_{language}_COMPILER{how}" for language in ("C", "CXX") for how in ("=/bin/true", "_FORCED=TRUE")
    ]
    for step in (
        ["-S", str(REPOSITORY), "-B", str(build), f"-DSlicer_DIR={STAND_IN}", f"-DCMAKE_INSTALL_PREFIX={install}",
         *compilers],
        ["--build", str(build)],
        ["--install", str(build)],
    ):
        ran = subprocess.run([cmake(), *step], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    told = (build / "told.txt").read_text(encoding="utf-8").splitlines()
    return install / "lib" / "Slicer-5.10" / "qt-scripted-modules", told


def expected_files() -> dict[str, str]:
    """Where each tracked file of the modules and models must lie beside the modules, and where it comes from."""
    places = {}
    for name in tracked(*MODULES):
        _, inside = name.split("/", 1)
        if inside != "CMakeLists.txt" and not inside.startswith("Testing/"):
            places[inside] = name
    for name in tracked("Resources/Models"):
        places[name] = name
    return places


def test_every_file_of_the_modules_and_models_is_installed(built: tuple[Path, list[str]]) -> None:
    installed, _ = built
    there = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert there == set(expected_files())


def test_what_is_installed_is_what_is_in_the_repository(built: tuple[Path, list[str]]) -> None:
    installed, _ = built
    for place, source in expected_files().items():
        assert (installed / place).read_bytes() == (REPOSITORY / source).read_bytes(), place


def test_licence_and_readme_are_installed_beside_the_modules(built: tuple[Path, list[str]]) -> None:
    installed, _ = built
    share = installed.parents[2] / "share" / "Slicer-5.10" / "MedInfer"
    assert {path.name for path in share.iterdir()} == {"LICENSE", "README.md"}
    for path in share.iterdir():
        assert path.read_bytes() == (REPOSITORY / path.name).read_bytes()


def test_no_two_modules_have_a_file_of_the_same_name() -> None:
    """All modules are installed into one folder: the second would take the first one's place."""
    shipped = [
        name.split("/", 1)[1] for name in tracked(*MODULES)
        if not name.endswith("/CMakeLists.txt") and "/Testing/" not in name
    ]
    assert len(shipped) == len(set(shipped))


def test_only_modules_lie_at_the_top_for_slicer_takes_every_python_file_there_for_a_module(
    built: tuple[Path, list[str]],
) -> None:
    installed, _ = built
    assert {path.stem for path in installed.glob("*.py")} == MODULES


def test_every_module_is_built_with_generic_tests_and_those_with_a_panel_test_themselves(
    built: tuple[Path, list[str]],
) -> None:
    _, told = built
    assert {line for line in told if line.startswith("module")} == {f"module {m} generic-tests:TRUE" for m in MODULES}
    assert {line for line in told if line.startswith("test")} == {f"test {m}.py" for m in MODULES - {"MedCore"}}


def test_the_metadata_reach_slicer_as_one_value_each(built: tuple[Path, list[str]]) -> None:
    _, told = built
    lines = [re.fullmatch(r"metadata (\w+) (\d+) (.*)", line) for line in told if line.startswith("metadata")]
    metadata = {line[1]: (line[2], line[3]) for line in lines if line}
    assert set(metadata) == {
        "CATEGORY", "HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"
    }
    assert {parts for parts, _ in metadata.values()} == {"1"}
    assert metadata["DEPENDS"][1] == "NA"
