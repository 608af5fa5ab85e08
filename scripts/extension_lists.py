"""`make extension`: writes what is derived in the extension's build files.

- each module's lists of files, in its CMakeLists.txt: a file that is not listed is not shipped;
- the public address, from MedCore/medslicer/address.py, in the root CMakeLists.txt and in MedInfer.json (Slicer's
  Extensions Index reads both as text, so no variable can stand there).

A test, and `make extension-check`, say when they are out of date.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

MODULES = ("MedCore", "MedDetect", "MedLandmark", "MedToothSeg")
SCREENSHOTS = ("MedDetect.png", "MedLandmark.png", "MedToothSeg.png")
_LIST = r"(?ms)^set\({name}\n(.*?)^  \)$"
_UNSHIPPED = {"__pycache__", "Testing"}
INDEX_ENTRY = {
    "$schema": "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
    "slicer-extension-catalog-entry-schema-v1.0.1.json#",
    "build_dependencies": [],
    "category": "Segmentation",
    "scm_revision": "main",
    "tier": 1,
}


def module_files(root: Path, module: str) -> tuple[list[str], list[str]]:
    """What a module ships, by paths in its folder: its Python files, and everything else."""
    folder = root / module
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and _is_shipped(path.relative_to(folder))
    )
    return [name for name in files if name.endswith(".py")], [name for name in files if not name.endswith(".py")]


def model_files(root: Path) -> list[str]:
    """The bundled models' files, by paths in Resources/Models."""
    folder = root / "Resources" / "Models"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _is_shipped(path: Path) -> bool:
    named = path.name not in {"CMakeLists.txt", ".gitignore"} and path.suffix != ".pyc"
    return named and not _UNSHIPPED & set(path.parts)


def addresses(root: Path) -> tuple[str, str]:
    """Where the repository lives, and where its files are served as they are (medslicer.address)."""
    known = runpy.run_path(str(root / "MedCore" / "medslicer" / "address.py"))
    return known["HOME"], known["RAW"]


def listed(root: Path, module: str, name: str) -> list[str]:
    """The files of a list in a module's CMakeLists.txt: what a build ships, whatever lies in the folder."""
    found = re.search(_LIST.format(name=name), _read(root / module / "CMakeLists.txt"))
    if found is None:
        raise SystemExit(f"{module}/CMakeLists.txt has no list {name}.")
    return found[1].split()


def metadata(root: Path) -> dict[str, str]:
    """The extension's metadata as the root CMakeLists.txt sets them: HOMEPAGE, DESCRIPTION, …"""
    return dict(re.findall(r'(?m)^set\(EXTENSION_(\w+) "([^"]*)"\)$', _read(root / "CMakeLists.txt")))


def derived(root: Path) -> dict[Path, str]:
    """The text that each build file should have, by its path."""
    home, raw = addresses(root)
    top = root / "CMakeLists.txt"
    pictures = " ".join(f"{raw}/Resources/Screenshots/{name}" for name in SCREENSHOTS)
    written = _with_value(_read(top), "EXTENSION_HOMEPAGE", home)
    written = _with_value(written, "EXTENSION_ICONURL", f"{raw}/Resources/Icons/MedInfer.png")
    texts = {top: _with_value(written, "EXTENSION_SCREENSHOTURLS", pictures)}
    for module in MODULES:
        path = root / module / "CMakeLists.txt"
        scripts, resources = module_files(root, module)
        text = _with_list(_read(path), "MODULE_PYTHON_SCRIPTS", scripts)
        text = _with_list(text, "MODULE_PYTHON_RESOURCES", resources)
        texts[path] = _with_list(text, "BUNDLED_MODELS", model_files(root)) if module == "MedCore" else text
    entry = {**INDEX_ENTRY, "scm_url": home}
    texts[root / "MedInfer.json"] = json.dumps(entry, indent=2, sort_keys=True) + "\n"
    return texts


def outdated(root: Path) -> list[Path]:
    """The build files that differ from what they should be."""
    return [path for path, text in derived(root).items() if not path.is_file() or _read(path) != text]


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _with_value(text: str, name: str, value: str) -> str:
    return _replaced(rf'(?m)^set\({name} ".*"\)$', f'set({name} "{value}")', text)


def _with_list(text: str, name: str, values: Sequence[str]) -> str:
    lines = "".join(f"  {value}\n" for value in values)
    return _replaced(_LIST.format(name=name), f"set({name}\n{lines}  )", text)


def _replaced(pattern: str, by: str, text: str) -> str:
    if len(re.findall(pattern, text)) != 1:
        raise SystemExit(f"The build files have no single place that looks like {pattern}.")
    return re.sub(pattern, lambda _: by, text)


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    texts = derived(root)
    for path in outdated(root):
        path.write_bytes(texts[path].encode("utf-8"))
        print(f"written: {path}")


if __name__ == "__main__":
    main()
