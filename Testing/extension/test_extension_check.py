"""The check of the Extensions Index's list: the repository passes it, and spoilt copies do not."""

from __future__ import annotations

import importlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# What the check looks at; models are large and only counted.
COPIED = (
    "CMakeLists.txt", "MedInfer.json", "README.md", "LICENSE", "Makefile", "MedCore", "MedDetect", "MedLandmark",
    "MedToothSeg", "Resources", "scripts",
)


def check(root: Path, *arguments: str) -> tuple[int, str]:
    """The script's exit code and what it prints, in this process: it runs 40 times here."""
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    try:
        script = importlib.import_module("check_extension")
    finally:
        sys.path.pop(0)
    with redirect_stdout(io.StringIO()) as printed:
        code = script.main(["--root", str(root), *arguments])
    return code, printed.getvalue()


@pytest.fixture(scope="session")
def told_of_a_sound_copy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return check(copied(tmp_path_factory.mktemp("sound")))[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path)


def copied(place: Path) -> Path:
    """A copy of what is checked, without git; large files are shared with the original, so: replace, never change."""
    root = place / "SlicerMedInfer"
    root.mkdir()

    def link(source: str, target: str) -> str:
        if os.path.getsize(source) < 1e6:
            return str(shutil.copy2(source, target))
        os.link(source, target) if os.stat(source).st_dev == os.stat(root).st_dev else shutil.copy2(source, target)
        return target

    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, copy_function=link, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, root / name)
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_bytes(text.replace(old, new).encode("utf-8"))


def substitute(path: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"))
    assert count, f"{path} has nothing like {pattern!r}"
    path.write_bytes(text.encode("utf-8"))


def rename_extension(root: Path) -> None:
    edit(root / "CMakeLists.txt", "project(MedInfer)", "project(SlicerMed)")


def address_without_slicer(root: Path) -> None:
    edit(root / "MedCore/medslicer/address.py", "/SlicerMedInfer\"", "/MedInfer\"")


def two_arguments(root: Path) -> None:
    substitute(root / "CMakeLists.txt", r'DESCRIPTION "([^"]*)"', 'DESCRIPTION "one;two"')


def no_screenshots(root: Path) -> None:
    (root / "Resources/Screenshots/MedDetect.png").unlink()


def small_icon(root: Path) -> None:
    # A PNG's width stands at byte 16.
    icon = root / "MedDetect/Resources/Icons/MedDetect.png"
    content = icon.read_bytes()
    icon.write_bytes(content[:16] + (64).to_bytes(4, "big") + content[20:])


def module_left_out(root: Path) -> None:
    edit(root / "CMakeLists.txt", "add_subdirectory(MedToothSeg)\n", "")


def packed_before_configured(root: Path) -> None:
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    cpack, config = "include(${Slicer_EXTENSION_CPACK})", "include(${Slicer_EXTENSION_GENERATE_CONFIG})"
    swapped = text.replace(cpack, "?").replace(config, cpack).replace("?", config)
    (root / "CMakeLists.txt").write_bytes(swapped.encode("utf-8"))


def file_not_listed(root: Path) -> None:
    (root / "MedCore/medslicer/forgotten.py").write_text("", encoding="utf-8")


def listed_file_gone(root: Path) -> None:
    (root / "MedCore/medinfer/decoders/nms.py").unlink()


def no_generic_tests(root: Path) -> None:
    edit(root / "MedDetect/CMakeLists.txt", "  WITH_GENERIC_TESTS\n", "")


def unknown_key(root: Path) -> None:
    edit(root / "MedInfer.json", '"category"', '"kategory"')


def windows_line_ends(root: Path) -> None:
    path = root / "MedInfer.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def too_large(root: Path) -> None:
    with (root / "Resources" / "huge.bin").open("wb") as file:
        file.truncate(100_000_001)


def no_licence(root: Path) -> None:
    (root / "LICENSE").unlink()


def picture_gone_from_readme(root: Path) -> None:
    edit(root / "README.md", "](Resources/Screenshots/MedLandmark.png)", "](Resources/Screenshots/none.png)")


def code_at_file_scope(root: Path) -> None:
    edit(root / "MedLandmark/MedLandmark.py", "class MedLandmark(", "slicer.app.processEvents()\nclass MedLandmark(")


def heavy_import(root: Path) -> None:
    edit(root / "MedToothSeg/MedToothSeg.py", "from slicer.i18n", "import torch\nfrom slicer.i18n")


def heavy_import_in_the_panel(root: Path) -> None:
    edit(root / "MedCore/medslicer/profiles.py", "from dataclasses", "import pydantic\nfrom dataclasses")


def torch_by_pip(root: Path) -> None:
    with (root / "MedDetect/MedDetect.py").open("a", encoding="utf-8") as file:
        file.write('def install():\n    slicer.util.pip_install("torch")\n')


def second_address(root: Path) -> None:
    home = re.search(r'HOME = "([^"]+)"', (root / "MedCore/medslicer/address.py").read_text(encoding="utf-8"))
    assert home
    edit(root / "MedDetect/MedDetect.py", "Finds lung nodules", f"{home[1]}: finds lung nodules")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (rename_extension, "begins with “Slicer”, as only its repository's may"),
        (address_without_slicer, "/MedInfer does not begin with “Slicer”"),
        (two_arguments, "EXTENSION_DESCRIPTION has a semicolon"),
        (no_screenshots, "MedDetect.png” is not a PNG file of the repository"),
        (small_icon, "MedDetect/Resources/Icons/MedDetect.png is not a PNG of 128 × 128 pixels"),
        (module_left_out, "CMakeLists.txt lacks add_subdirectory(MedToothSeg)"),
        (packed_before_configured, "CMakeLists.txt has its steps in another order"),
        (file_not_listed, "MedCore/CMakeLists.txt is out of date: run `make extension`"),
        (listed_file_gone, "MedCore/CMakeLists.txt lists medinfer/decoders/nms.py, which is not there"),
        (no_generic_tests, "MedDetect/CMakeLists.txt lacks WITH_GENERIC_TESTS"),
        (unknown_key, "MedInfer.json has a key kategory that the schema does not know"),
        (windows_line_ends, "MedInfer.json has CRLF line ends"),
        (too_large, "the checkout takes"),
        (no_licence, "LICENSE is missing"),
        (picture_gone_from_readme, "README.md shows Resources/Screenshots/none.png, which is not there"),
        (code_at_file_scope, "runs code when it is imported: slicer.app.processEvents()"),
        (heavy_import, "imports torch at file scope"),
        (heavy_import_in_the_panel, "MedCore/medslicer/profiles.py:5 imports pydantic at file scope"),
        (torch_by_pip, "installs torch by pip"),
        (second_address, "MedDetect/MedDetect.py has the public address"),
    ],
)
def test_a_spoilt_copy_is_told_with_what_and_where(
    copy: Path, spoil: Callable[[Path], None], told: str, told_of_a_sound_copy: str
) -> None:
    assert told not in told_of_a_sound_copy
    spoil(copy)
    code, output = check(copy)
    assert told in output
    assert code == 1


def test_the_repository_passes_every_check() -> None:
    """As `make extension-check` runs it."""
    words = [sys.executable, str(REPOSITORY / "scripts" / "check_extension.py"), "--root", str(REPOSITORY)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not ran.stderr, ran.stderr
    code, output = ran.returncode, ran.stdout
    assert "WRONG" not in output, output
    assert code == 0


def test_before_submitting_the_address_must_be_decided(copy: Path) -> None:
    edit(copy / "MedCore/medslicer/address.py", "https://", "https://undecided.example.org/")
    subprocess.run([sys.executable, str(REPOSITORY / "scripts" / "extension_lists.py"), str(copy)], check=True)
    code, output = check(copy, "--submit")
    assert code == 1
    assert "the public address is still https://undecided.example.org/" in output


def test_a_new_address_is_written_wherever_it_is_needed(copy: Path) -> None:
    substitute(copy / "MedCore/medslicer/address.py", r'(HOME|RAW) = "https://[^/]+/', r'\1 = "https://new.example.net/')
    assert "is out of date" in check(copy)[1]
    subprocess.run([sys.executable, str(REPOSITORY / "scripts" / "extension_lists.py"), str(copy)], check=True)
    assert "is out of date" not in check(copy)[1]
    assert '"scm_url": "https://new.example.net/' in (copy / "MedInfer.json").read_text(encoding="utf-8")
    assert (copy / "CMakeLists.txt").read_text(encoding="utf-8").count("https://new.example.net/") >= 3
