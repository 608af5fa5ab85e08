"""What the panel tests share: Slicer's Python world around the real module files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from lamps import LOWEST, draw_lamps, lamps_package
from panel_user import PanelUser
from results_user import ResultsUser

from medinfer.findings import Findings
from medinfer.library.package import ModelPackage
from medinfer.volume import Grid, Volume

# A user in front of an open panel, with small real models and scans ------------------------------------------------


@pytest.fixture
def install_blobs(blob_package: Callable[..., Path], own_library: Path) -> Callable[..., Path]:
    """Put the blob package into the user's library; `change(manifest)` may spoil it first."""

    def install(change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> Path:
        return Path(shutil.move(blob_package(change), own_library / "blobs"))

    return install


@pytest.fixture
def open_panel(harness: SlicerHarness) -> Callable[[str], PanelUser]:
    """Open the panel of a module."""
    return lambda name="MedDetect": PanelUser(harness, harness.load_module(name))


@pytest.fixture
def user(
    harness: SlicerHarness, install_blobs: Callable[..., Path], blob_scan: Any, temporary: Path,
    open_panel: Callable[..., PanelUser],
) -> PanelUser:
    """A user of MedDetect who has loaded the scan "blobs" and chosen the model "Bright blobs"."""
    from medslicer.nodes.volumes import add_volume

    install_blobs()
    add_volume(harness.scene, blob_scan[0])
    ready = open_panel()
    ready.choose("modelSelector", "Bright blobs")
    return ready


@pytest.fixture
def long_run(
    harness: SlicerHarness, install_blobs: Callable[..., Path], blob_scan: Any, temporary: Path,
    open_panel: Callable[..., PanelUser],
) -> PanelUser:
    """A user of MedDetect with a scan of thousands of tiles, which runs for many seconds if nothing stops it."""
    from medslicer.nodes.volumes import add_volume

    install_blobs(lambda manifest: manifest["tiling"].update(patch=[6, 6, 6]))
    voxels = np.tile(blob_scan[0].voxels, (4, 4, 4))
    add_volume(harness.scene, Volume(voxels, Grid(voxels.shape, blob_scan[0].grid.ijk_to_ras), "large"))
    ready = open_panel()
    ready.choose("modelSelector", "Bright blobs")
    return ready


# A user with findings to look at: real inference once a session, its findings in a fresh scene for each test ----------

Find = Callable[..., Findings]


@pytest.fixture(scope="session")
def found_before() -> dict[str, Findings]:
    """Findings by the name of the scan."""
    return {}


@pytest.fixture
def find_once(found_before: dict[str, Findings]) -> Find:
    """What a package finds in a scan."""
    from medinfer.inference.pipeline import open_package, run

    def find(package: ModelPackage, scan: Volume, threshold: float | None = None) -> Findings:
        if scan.name not in found_before:
            with open_package(package, backend="onnxruntime", precision="float32", threads=1) as session:
                found_before[scan.name] = run(scan, package, session, threshold=threshold)
        return found_before[scan.name]

    return find


@pytest.fixture
def user_with_result(user: PanelUser, find_once: Find, blob_scan: Any) -> PanelUser:
    """The user of "blobs", whose scan has the result "Nodules" of an earlier run: for tests of what comes after it."""
    from medinfer.library.library import find_package
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    package, scene = find_package("blobs"), user.harness.scene
    node = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    add_result(scene, find_once(package, blob_scan[0]), node, package.manifest, PROFILES["MedDetect"])
    user.harness.process_events()
    return user


@pytest.fixture
def show_findings(harness: SlicerHarness, find_once: Find, own_library: Path) -> Callable[..., ResultsUser]:
    """Install the package in a folder, and open a panel on what it finds in a scan."""
    from medinfer.library.package import load_package
    from medslicer.nodes.volumes import add_volume
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    def show(name: str, scan: Volume, folder: Path, threshold: float | None = None) -> ResultsUser:
        package = load_package(Path(shutil.move(folder, own_library / folder.name)))
        findings = find_once(package, scan, threshold)
        node = add_volume(harness.scene, scan)
        add_result(harness.scene, findings, node, package.manifest, PROFILES[name])
        user = ResultsUser(harness, harness.load_module(name))
        user.choose("modelSelector", package.manifest.title)
        return user

    return show


@pytest.fixture
def nodules(show_findings: Callable[..., ResultsUser], blob_scan: Any, tmp_path: Path) -> ResultsUser:
    """Six balls of graded brightness, the brightest is "Nodule 1"; two of them below the model's own threshold."""
    scan, _ = draw_lamps(blob_scan[0].grid)
    return show_findings("MedDetect", scan, lamps_package(tmp_path / "packages" / "lamps"), LOWEST)


@pytest.fixture
def landmarks(
    show_findings: Callable[..., ResultsUser], dots_scan: Any, dots_package: Callable[..., Path]
) -> ResultsUser:
    """Three landmarks, and one that was not found."""
    return show_findings("MedLandmark", dots_scan[0], dots_package())


@pytest.fixture
def teeth(
    show_findings: Callable[..., ResultsUser], peas_scan: Volume, peas_package: Callable[..., Path]
) -> ResultsUser:
    """Twelve teeth in two arches, and a canal."""
    return show_findings("MedToothSeg", peas_scan, peas_package())
