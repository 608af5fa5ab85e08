"""`make extension-check`: what Slicer's Extensions Index and its reviewers ask, as far as can be seen without Slicer.

Prints a line a check: “ok”, or what is wrong and where. Exit code 1 where something is wrong. With --submit the public
address must be decided as well.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from extension_lists import MODULES, addresses, listed, metadata, outdated

# https://github.com/Slicer/ExtensionsIndex, scripts/check_description_files.py: those that suit a tool for CT.
CATEGORIES = {"Segmentation", "Quantification", "Analysis", "Informatics", "Shape Analysis", "Examples", "Utilities"}
# Slicer's schema of an index entry, version 1.0.1 (the index's branch for 5.10 has no newer); it allows no other keys.
ENTRY_KEYS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str, "build_dependencies": list,
    "build_subdirectory": str, "enabled": bool, "tier": int,
}
METADATA = ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")
# What a module may import at file scope besides the standard library; the last two are ours.
IMPORTS = {"slicer", "qt", "ctk", "vtk", "SimpleITK", "numpy", "scipy", "medinfer", "medslicer"}
MOST_BYTES = 100_000_000
TEXT = {".py", ".txt", ".json", ".md", ".toml", ".ui", ".svg", ".cmake", ".sh", ".yml", ""}
ADDRESS_FILES = {"MedCore/medslicer/address.py", "CMakeLists.txt", "MedInfer.json"}

Check = Callable[[Path], Iterator[str]]


def files(root: Path) -> list[str]:
    """The repository's files by their paths: those git tracks or would track, or all where git does not know."""
    if not (root / ".git").exists():
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.suffix != ".pyc")
    git = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    named = subprocess.run(git, check=True, capture_output=True).stdout.decode().split("\0")
    return [name for name in named if name and (root / name).is_file()]


def text_of(root: Path, name: str) -> str:
    path = root / name
    return path.read_bytes().decode("utf-8") if path.is_file() else ""


def name(root: Path) -> Iterator[str]:
    """The extension has one name, and it does not begin with “Slicer”."""
    given = re.findall(r"project\s*\(\s*([^\s)]+)", text_of(root, "CMakeLists.txt"))
    if given[:1] != ["MedInfer"]:
        yield f"CMakeLists.txt has project({', '.join(given)}), and the index entry is called MedInfer.json"
    if given and given[0].lower().startswith("slicer"):
        yield f"the extension's name {given[0]} begins with “Slicer”, as only its repository's may"


def repository_name(root: Path) -> Iterator[str]:
    """The repository's name is “Slicer” and the extension's, at an https address."""
    home, _ = addresses(root)
    if urlsplit(home).scheme != "https":
        yield f"the address {home} is not https"
    if not urlsplit(home).path.rsplit("/", 1)[-1].startswith("Slicer"):
        yield f"the repository's name in {home} does not begin with “Slicer”"


def extension_metadata(root: Path) -> Iterator[str]:
    """The metadata are there, each one quoted string; the description is one or two sentences."""
    told = metadata(root)
    missing = [key for key in METADATA if not told.get(key)]
    yield from (f"CMakeLists.txt sets no EXTENSION_{key}, as one quoted string" for key in missing)
    yield from (f"EXTENSION_{key} has a semicolon, which CMake takes for a list" for key in told if ";" in told[key])
    if len(re.findall(r"[.!?](\s|$)", told.get("DESCRIPTION", ""))) > 2:
        yield "EXTENSION_DESCRIPTION has more than two sentences"


def pictures(root: Path) -> Iterator[str]:
    """The icon and the screenshots are public addresses of PNG files that are in the repository."""
    told, (_, raw) = metadata(root), addresses(root)
    for url in [told.get("ICONURL", ""), *told.get("SCREENSHOTURLS", "").split()]:
        file = root / url.removeprefix(f"{raw}/")
        if not url.startswith(f"{raw}/") or file.suffix != ".png" or not file.is_file():
            yield f"“{url}” is not a PNG file of the repository, served from {raw}"


def icons(root: Path) -> Iterator[str]:
    """The extension and each module have an icon of 128 × 128 pixels."""
    shown = [f"{module}/Resources/Icons/{module}.png" for module in MODULES if module != "MedCore"]
    for place in ("Resources/Icons/MedInfer.png", *shown):
        head = (root / place).read_bytes()[:24] if (root / place).is_file() else b""
        if head[:8] != b"\x89PNG\r\n\x1a\n" or struct.unpack(">II", head[16:24]) != (128, 128):
            yield f"{place} is not a PNG of 128 × 128 pixels"


def build_files(root: Path) -> Iterator[str]:
    """CMakeLists.txt does what the extension template does, in its order, for every module."""
    steps = [
        "project(", "set(EXTENSION_HOMEPAGE", "find_package(Slicer REQUIRED)", "include(${Slicer_USE_FILE})",
        *(f"add_subdirectory({module})" for module in MODULES), "## NEXT_MODULE",
        "include(${Slicer_EXTENSION_GENERATE_CONFIG})", "include(${Slicer_EXTENSION_CPACK})",
    ]
    text = text_of(root, "CMakeLists.txt")
    places = [text.find(step) for step in steps]
    yield from (f"CMakeLists.txt lacks {step}" for step, place in zip(steps, places, strict=True) if place < 0)
    if places != sorted(places):
        yield f"CMakeLists.txt has its steps in another order than {', '.join(steps)}"


def all_listed(root: Path) -> Iterator[str]:
    """Every file of the modules and models is listed, so that it is shipped, and the addresses are up to date."""
    yield from (f"{path.relative_to(root)} is out of date: run `make extension`" for path in outdated(root))
    for module in MODULES:
        for file in (*listed(root, module, "MODULE_PYTHON_SCRIPTS"), *listed(root, module, "MODULE_PYTHON_RESOURCES")):
            if not (root / module / file).is_file():
                yield f"{module}/CMakeLists.txt lists {file}, which is not there"


def tests(root: Path) -> Iterator[str]:
    """Each module has Slicer's generic tests, and each that has a panel its own test."""
    for module in MODULES:
        build, code = text_of(root, f"{module}/CMakeLists.txt"), text_of(root, f"{module}/{module}.py")
        if "WITH_GENERIC_TESTS" not in build:
            yield f"{module}/CMakeLists.txt lacks WITH_GENERIC_TESTS"
        tested = "slicer_add_python_unittest(" in build and f"class {module}Test(" in code
        if module != "MedCore" and not tested:
            yield f"{module} has no test of its own (class {module}Test, slicer_add_python_unittest)"


def index_entry(root: Path) -> Iterator[str]:
    """MedInfer.json is an entry of the index as its schema wants it."""
    try:
        entry = json.loads(text_of(root, "MedInfer.json"))
    except ValueError as error:
        yield f"MedInfer.json is not JSON: {error}"
        return
    unknown = [key for key in entry if key not in ENTRY_KEYS]
    yield from (f"MedInfer.json has a key {key} that the schema does not know" for key in unknown)
    wrong = [key for key, kind in ENTRY_KEYS.items() if key in entry and type(entry[key]) is not kind]
    yield from (f"MedInfer.json: {key} is not a {ENTRY_KEYS[key].__name__}" for key in wrong)
    yield from (f"MedInfer.json lacks {key}" for key in ("$schema", "category", "scm_url") if not entry.get(key))
    if entry.get("category") not in CATEGORIES:
        yield f"MedInfer.json: the index has no category {entry.get('category')!r} for such an extension"
    if not isinstance(entry.get("tier"), int) or not 1 <= entry["tier"] <= 5:
        yield "MedInfer.json: tier is not 1 to 5"
    if entry.get("scm_url") != addresses(root)[0]:
        yield f"MedInfer.json: scm_url is not {addresses(root)[0]}"
    depends = " ".join(entry.get("build_dependencies") or ["NA"])
    if metadata(root).get("DEPENDS") != depends:
        yield f"EXTENSION_DEPENDS is not the index entry's build_dependencies ({depends})"


def line_ends(root: Path) -> Iterator[str]:
    """Text files have LF line ends."""
    for place in files(root):
        if Path(place).suffix in TEXT and b"\r\n" in (root / place).read_bytes():
            yield f"{place} has CRLF line ends"


def size(root: Path) -> Iterator[str]:
    """A checkout with its .git is at most 100 MB."""
    total = sum((root / place).stat().st_size for place in files(root))
    if (root / ".git").exists():
        # What a clone gets: not what else lies about in this copy, and what of it the disk's blocks take.
        git = ["git", "-C", str(root), "rev-list", "--objects", "--all", "--disk-usage"]
        total += int(subprocess.run(git, check=True, capture_output=True, text=True).stdout)
    if total > MOST_BYTES:
        yield f"the checkout takes {total / 1e6:.0f} MB"


def licence(root: Path) -> Iterator[str]:
    """The licence lies at the root and the README names it."""
    if "Apache License" not in text_of(root, "LICENSE"):
        yield "LICENSE is missing or is not the Apache License"
    if "Apache-2.0" not in text_of(root, "README.md"):
        yield "README.md does not name the licence, Apache-2.0"


def readme(root: Path) -> Iterator[str]:
    """The README has what the index asks: modules, pictures, tutorial with its data, citation, downloads."""
    text = text_of(root, "README.md")
    sections = re.split(r"(?m)^##+ ", text)
    yield from (f"README.md does not say what {m} is for" for m in MODULES if m != "MedCore" and f"**{m}**" not in text)
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    if not shown:
        yield "README.md shows no picture"
    yield from (f"README.md shows {place}, which is not there" for place in shown if not (root / place).is_file())
    tutorial = next((part for part in sections if part.startswith("In Slicer")), "")
    if len(re.findall(r"(?m)^\d+\. ", tutorial)) < 4:
        yield "README.md has no section “In Slicer” with numbered steps"
    if "Sample Data" not in tutorial:
        yield "the tutorial in README.md does not say where its data come from (Sample Data)"
    for heading in ("What is downloaded", "How to cite"):
        if not re.search(rf"(?m)^##+ {heading}", text):
            yield f"README.md has no section “{heading}”"
    if not re.search(r"(?is)\n##+ What is downloaded((?!\n##).)*(delete|remove)", text):
        yield "README.md does not say how to delete what was downloaded"


def module_files(root: Path) -> Iterator[str]:
    """A module's file runs nothing when it is imported, and imports only what comes with Slicer."""
    for module in MODULES:
        place = f"{module}/{module}.py"
        for node in ast.parse(text_of(root, place)).body:
            if not isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef) and not (
                isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            ):
                yield f"{place}:{node.lineno} runs code when it is imported: {ast.unparse(node)[:60]}"


def imports(root: Path) -> Iterator[str]:
    """Modules, and what of ours Slicer itself imports, import at file scope only what comes with Slicer."""
    shared = [f"MedCore/{file}" for file in listed(root, "MedCore", "MODULE_PYTHON_SCRIPTS") if "medslicer/" in file]
    for place in (*(f"{module}/{module}.py" for module in MODULES), *shared):
        for node in ast.parse(text_of(root, place)).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            foreign = {given.split(".")[0] for given in names} - IMPORTS - sys.stdlib_module_names
            yield from (f"{place}:{node.lineno} imports {given} at file scope" for given in sorted(foreign))


def torch_by_pip(root: Path) -> Iterator[str]:
    """PyTorch is never installed by pip here: the PyTorch extension does that."""
    for place in files(root):
        if place.startswith("Med") and place.endswith(".py") and "pip_install" in (text := text_of(root, place)):
            for node in ast.walk(ast.parse(text)):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called.split(".")[-1] == "pip_install" and re.search(r"['\" ]torch", ast.unparse(node)):
                    yield f"{place}:{node.lineno} installs torch by pip"


def one_address(root: Path) -> Iterator[str]:
    """The public address stands in one file, and in the two that are written from it."""
    home, _ = addresses(root)
    for place in files(root):
        if place not in ADDRESS_FILES and Path(place).suffix in TEXT and home in text_of(root, place):
            yield f"{place} has the public address; it belongs in MedCore/medslicer/address.py alone"


def decided_address(root: Path) -> Iterator[str]:
    """The public address is decided."""
    host = urlsplit(addresses(root)[0]).hostname or ""
    if host.endswith(("example.org", "example.com")):
        yield f"the public address is still {addresses(root)[0]}: change MedCore/medslicer/address.py"


CHECKS: tuple[Check, ...] = (
    name, repository_name, extension_metadata, pictures, icons, build_files, all_listed, tests, index_entry, line_ends,
    size, licence, readme, module_files, imports, torch_by_pip, one_address,
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check the extension against the list of Slicer's Extensions Index.")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--submit", action="store_true", help="before submitting: the public address must be decided")
    options = parser.parse_args(arguments)
    wrong = 0
    for check in (*CHECKS, *([decided_address] if options.submit else [])):
        problems = list(check(options.root))
        wrong += len(problems)
        print(f"{'WRONG' if problems else 'ok   '}  {(check.__doc__ or '').strip()}")
        for problem in problems:
            print(f"         {problem}")
    if not options.submit:
        for remark in decided_address(options.root):
            print(f"to do  {remark}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
