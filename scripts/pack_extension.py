"""`make package`: the extension as an archive that Slicer's Extensions Manager takes (“Install from file”).

No Slicer build is needed: the extension is Python alone. The archive holds what CMake would install, laid out as
qSlicerExtensionsManagerModel expects it: one folder at the top; in it share/Slicer-X.Y/MedInfer.s4ext, which names the
extension, share/Slicer-X.Y/MedInfer with the licence and the README, and lib/Slicer-X.Y/qt-scripted-modules; on macOS
all lie within Slicer.app/Contents/Extensions-REVISION. Python alone will do, without a package.
"""

from __future__ import annotations

import argparse
import gzip
import io
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from extension_lists import MODULES, addresses, listed, metadata, outdated

NAME = "MedInfer"
DOCUMENTS = ("LICENSE", "README.md")
SYSTEMS = {"Windows": "win", "Darwin": "macosx"}


@dataclass(frozen=True)
class Target:
    """The Slicer that an archive is for. version: X.Y; revision: as in Help → About (5.10.0: 34045)."""

    version: str
    revision: str
    system: str
    architecture: str


@dataclass(frozen=True)
class State:
    """What the archive is made of: the commit, short, and its time (UTC)."""

    revision: str
    time: datetime


def state_of(root: Path) -> State:
    """The checked-out commit; “local” and now where there is none."""
    try:
        # …-dirty where files differ from the commit.
        name = _git(root, "describe", "--always", "--dirty", "--exclude=*")
        return State(name, datetime.fromtimestamp(int(_git(root, "log", "-1", "--format=%ct")), timezone.utc))
    except (OSError, subprocess.CalledProcessError):
        return State("local", datetime.now(timezone.utc))


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout.strip()


def contents(root: Path, target: Target, state: State) -> dict[str, bytes]:
    """Each file of the installed extension by its path: the description first, then the rest."""
    modules, share = f"lib/Slicer-{target.version}/qt-scripted-modules", f"share/Slicer-{target.version}"
    files = {f"{share}/{NAME}.s4ext": description(root, state).encode("utf-8")}
    for name in DOCUMENTS:
        files[f"{share}/{NAME}/{name}"] = (root / name).read_bytes()
    for module in MODULES:
        for name in ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"):
            for file in listed(root, module, name):
                files[f"{modules}/{file}"] = (root / module / file).read_bytes()
    for file in listed(root, "MedCore", "BUNDLED_MODELS"):
        files[f"{modules}/Resources/Models/{file}"] = (root / "Resources" / "Models" / file).read_bytes()
    return files


def description(root: Path, state: State) -> str:
    """The .s4ext file: one key per line, followed by its value."""
    home, _ = addresses(root)
    told = metadata(root)
    lines = {
        "scm": "git", "scmurl": home, "scmrevision": state.revision, "depends": told["DEPENDS"],
        "build_subdirectory": ".", "homepage": told["HOMEPAGE"], "contributors": told["CONTRIBUTORS"],
        "category": told["CATEGORY"], "iconurl": told["ICONURL"], "status": "",
        "description": told["DESCRIPTION"], "screenshoturls": told["SCREENSHOTURLS"], "enabled": "1",
    }
    return "".join(f"{key} {value}".rstrip() + "\n" for key, value in lines.items())


def pack(root: Path, target: Target, out: Path) -> Path:
    """Write the archive into `out` and return its path; the same commit and target give the same bytes."""
    state = state_of(root)
    stem = f"{target.revision}-{target.system}-{target.architecture}-{NAME}-git{state.revision}-{state.time:%Y-%m-%d}"
    bundle = f"Slicer.app/Contents/Extensions-{target.revision}/{NAME}/" if target.system == "macosx" else ""
    # Files alone: were a folder an entry of its own, and the first, Slicer would not find the folder at the top.
    entries = {f"{stem}/{bundle}{path}": content for path, content in contents(root, target, state).items()}
    out.mkdir(parents=True, exist_ok=True)
    if target.system == "win":
        return _write_zip(entries, out / f"{stem}.zip", state.time)
    return _write_tar(entries, out / f"{stem}.tar.gz", state.time)


def _write_tar(entries: Mapping[str, bytes], path: Path, time: datetime) -> Path:
    stamp = int(time.timestamp())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), stamp, 0o644
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=stamp))
    return path


def _write_zip(entries: Mapping[str, bytes], path: Path, time: datetime) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, time.timetuple()[:6])
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


def main() -> None:
    machine = platform.machine().lower()
    parser = argparse.ArgumentParser(description="Pack the extension for Slicer's Extensions Manager.")
    parser.add_argument("--slicer-version", default="5.10", metavar="X.Y")
    parser.add_argument("--revision", default="34045", help="of that Slicer, as in Help → About; 5.10.0's is 34045")
    system = SYSTEMS.get(platform.system(), "linux")
    parser.add_argument("--os", default=system, choices=["linux", "win", "macosx"], help=f"default: {system}")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    parser.add_argument("--arch", default=architecture, help=f"default: {architecture}")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--root", type=Path, default=Path())
    options = parser.parse_args()
    # 5.10.1 has its modules in lib/Slicer-5.10 as well.
    version = re.fullmatch(r"(\d+\.\d+)(\.\d+)?", options.slicer_version)
    if version is None or not options.revision.isdecimal():
        sys.exit("Give Slicer's version as X.Y and its revision as a number: --slicer-version 5.10 --revision 34045.")
    if stale := outdated(options.root):
        sys.exit(f"Run `make extension` first: {', '.join(map(str, stale))} would leave out files or ship others.")
    path = pack(options.root, Target(version[1], options.revision, options.os, options.arch), options.out)
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB: in Slicer's Extensions Manager choose “Install from file”")


if __name__ == "__main__":
    main()
