"""Scenes, Slicer's Python world, grids of every kind and a run's findings, for the tests of the Slicer side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from numpy.typing import NDArray

from medinfer.findings import Findings, Landmark, Segment, box_from_index
from medinfer.label_map import LabelMap
from medinfer.library.package import load_package
from medinfer.manifest import Code, Label, Manifest, Terminology
from medinfer.volume import Grid, Volume
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.volumes import add_volume
from medslicer.profiles import PROFILES, Profile
from medslicer.results.result import Result, add_result

pytest.importorskip("slicer", reason="slicer-core is not installed")

LOW, HIGH = (3, 5, 7), (8, 9, 17)


@pytest.fixture
def headless() -> Iterator[HeadlessSlicer]:
    with HeadlessSlicer() as opened:
        yield opened


@pytest.fixture
def scene(headless: HeadlessSlicer) -> Any:
    return headless.scene


def rotation(seed: int, *, right_handed: bool) -> NDArray[np.float64]:
    """A random rotation, mirrored where it is not to be right-handed."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if (np.linalg.det(axes) > 0) != right_handed:
        axes[:, 0] *= -1
    return axes


def make_grid(axes: NDArray[np.float64], spacing_ijk: tuple[float, float, float]) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing_ijk)
    matrix[:3, 3] = 31.25, -212.5, 77.125
    return Grid((12, 16, 20), matrix)


GRIDS = {
    "as DICOM has it": make_grid(np.diag([-1.0, -1.0, 1.0]), (0.7, 0.7, 2.5)),
    "left-handed": make_grid(np.diag([-1.0, -1.0, -1.0]), (0.7, 0.8, 2.5)),
    "oblique": make_grid(rotation(1, right_handed=True), (0.7, 0.7, 2.5)),
    "oblique, anisotropic, left-handed": make_grid(rotation(2, right_handed=False), (0.6, 0.9, 3.1)),
}


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return request.param


@pytest.fixture
def volume() -> Volume:
    """Noise on the most awkward grid."""
    grid = GRIDS["oblique, anisotropic, left-handed"]
    noise = np.random.default_rng(0).integers(-1000, 400, grid.shape).astype(np.int16)
    return Volume(noise, grid, name="CHEST 1", modality="CT")


@pytest.fixture
def findings(volume: Volume) -> Findings:
    return Findings(
        boxes=(
            box_from_index(volume.grid, LOW, HIGH, label="nodule", score=0.9123456789, diameter_mm=7.125, side="left"),
            box_from_index(volume.grid, (1, 1, 1), (4, 6, 5), label="nodule", score=0.5, side="right"),
            box_from_index(volume.grid, (9, 10, 11), (10, 11, 12), label="nodule", score=1 / 3),
        ),
        scan="CHEST 1",
        model="tiny 1.0.0",
    )


@pytest.fixture
def label() -> Label:
    return Label(
        value=1,
        name="nodule",
        color=(0.2, 0.8, 0.4),
        terminology=Terminology(
            category=Code(scheme="SCT", value="49755003", meaning="Morphologically Altered Structure"),
            type=Code(scheme="SCT", value="27925004", meaning="Nodule"),
            region=Code(scheme="SCT", value="39607008", meaning="Lung"),
        ),
    )


@pytest.fixture
def landmarks(volume: Volume) -> tuple[Landmark, ...]:
    """T12 … L5 along the scan's k axis: one is missing in the middle and one at the end, one has two flags."""
    places = {"T12": (1, 8, 9), "L1": (3.25, 8.5, 9), "L2": None, "L3": (7, 9.125, 8.75), "L4": (9.5, 9, 8), "L5": None}
    flags = {"L3": ("above L1", "too near L4")}
    return tuple(
        Landmark(
            label, None if place is None else vector(volume.grid.to_ras(place)), confidence=0.9 / number,
            flags=flags.get(label, ()),
        )
        for number, (label, place) in enumerate(places.items(), start=1)
    )


def vector(values: NDArray[np.float64]) -> tuple[float, float, float]:
    r, a, s = (float(value) for value in values)
    return r, a, s


TOOTH_MM = np.array([4.0, 3.5, 9.0])
TOOTH_HU, BONE_HU, SOFT_HU = 1800, 500, 50
# Teeth on an arch: value in the label map, degrees from the midline to the patient's right, whether it is an upper one.
ARCH_MM, ABOVE_MM = 16.0, 9.5
TEETH = ((16, 70, True), (11, 20, True), (26, -70, True), (36, -70, False), (46, 70, False), (201, 20, False))


@dataclass(frozen=True)
class Jaw:
    """A scan with six ellipsoids for teeth and a tube for a canal, what was found in it, and the labels."""

    volume: Volume
    findings: Findings
    labels: tuple[Label, ...]
    centers_ras: dict[int, NDArray[np.float64]]

    @property
    def label_map(self) -> LabelMap:
        assert self.findings.label_map is not None
        return self.findings.label_map


def tooth_label(number: int, color: tuple[float, float, float], code: str, meaning: str, group: str) -> Label:
    structure = Code(scheme="SCT", value="123037004", meaning="Anatomical Structure")
    return Label(
        value=number, name=str(number), color=color, group=group, names={"FDI": str(number), "anatomical": meaning},
        terminology=Terminology(category=structure, type=Code(scheme="SCT", value=code, meaning=meaning)),
    )


TOOTH_LABELS = (
    tooth_label(11, (1, 0.875, 0.5), "422653006", "Permanent maxillary right central incisor tooth", "Upper right"),
    tooth_label(16, (0.375, 0.625, 0.875), "865995000", "Permanent maxillary right first molar tooth", "Upper right"),
    tooth_label(26, (0.375, 0.625, 0.75), "865988009", "Permanent maxillary left first molar tooth", "Upper left"),
    tooth_label(36, (0.375, 0.5, 0.875), "866006002", "Mandibular left first molar tooth", "Lower left"),
    tooth_label(46, (0.25, 0.625, 0.875), "866005003", "Mandibular right first molar tooth", "Lower right"),
    Label(value=101, name="Mandibular canal", color=(0.875, 0.375, 0.75)),
)


def draw_jaw(axes: NDArray[np.float64], spacing_ijk: tuple[float, float, float] = (0.6, 0.55, 0.7)) -> Jaw:
    """The jaw in a cube of 52 mm whose axes point where `axes` says; upright in the world whatever these are."""
    edge = 52.0
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing_ijk)
    shape = tuple(round(edge / spacing) for spacing in reversed(spacing_ijk))
    matrix[:3, 3] = (12.5, -40.25, 300.75) - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    grid = Grid(shape, matrix)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    r, a, s = np.moveaxis(grid.to_ras(index) - (12.5, -48.25, 300.75), -1, 0)
    hu, values = np.full(shape, SOFT_HU, np.int16), np.zeros(shape, np.uint8)
    hu[(np.abs(np.hypot(r, a) - ARCH_MM) < 5) & (np.abs(s) > 8)] = BONE_HU
    for value, degrees, upper in TEETH:
        angle, side = np.radians(degrees), 1 if upper else -1
        away = np.stack([r - ARCH_MM * np.sin(angle), a - ARCH_MM * np.cos(angle), s - side * ABOVE_MM], axis=-1)
        values[((away / TOOTH_MM) ** 2).sum(axis=-1) < 1] = value
    canal = (np.abs(np.hypot(r, a) - ARCH_MM) ** 2 + (s + 21) ** 2 < 1.8**2) & (a > -5)
    hu[values > 0], values[canal] = TOOTH_HU, 101
    return jaw_of(Volume(hu, grid, "JAW 1", "CT"), values)


def jaw_of(volume: Volume, values: NDArray[np.uint8]) -> Jaw:
    """The findings that hold for `values`: the labelled voxels on `volume`'s grid."""
    where = np.argwhere(values)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    block = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    label_map = LabelMap(block, volume.grid.cropped(tuple(int(n) for n in low), block.shape))
    segments, centers = [], {}
    for value in (16, 11, 26, 36, 46, 201, 101):
        points = volume.grid.to_ras(np.argwhere(values == value))
        if not len(points):
            continue
        centers[value] = points.mean(axis=0)
        unsure = value == 201
        segments.append(Segment(
            label={201: "tooth", 101: "Mandibular canal"}.get(value, str(value)), value=value,
            confidence=0.4 if unsure else 0.9 + value / 1000, center_ras=vector(centers[value]),
            volume_mm3=float(len(points) * np.prod(volume.spacing)),
            length_mm=float(np.ptp(points, axis=0).max()),
            flags=("number unsure", "alone: no neighbour") if unsure else (),
        ))
    findings = Findings(segments=tuple(segments), label_map=label_map, scan=volume.name, model="teeth 1.0.0")
    return Jaw(volume, findings, TOOTH_LABELS, centers)


JAW_AXES = {
    "as DICOM has it": np.diag([-1.0, -1.0, 1.0]),
    "left-handed": np.diag([-1.0, -1.0, -1.0]),
    "oblique": rotation(3, right_handed=True),
    "oblique, left-handed": rotation(4, right_handed=False),
}


@pytest.fixture(scope="session")
def jaw() -> Jaw:
    """The jaw in an oblique, anisotropic and left-handed scan."""
    return draw_jaw(JAW_AXES["oblique, left-handed"])


@pytest.fixture(scope="session", params=JAW_AXES.values(), ids=JAW_AXES.keys())
def any_jaw(request: pytest.FixtureRequest) -> Jaw:
    """The jaw in scans of every kind."""
    return draw_jaw(request.param)


@pytest.fixture
def teeth_manifest(blob_package: Callable[..., Path]) -> Manifest:
    """The manifest of a package whose findings are the jaw's segments."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["task"], manifest["id"] = "segment", "teeth"
        manifest["network"]["channels"] = 4
        manifest["decoder"] = {"kind": "instances"}
        manifest["labels"] = [label.model_dump() for label in TOOTH_LABELS]

    return load_package(blob_package(change)).manifest


@dataclass(frozen=True)
class Case:
    """What a run of one module has found, on which scan, and with which package."""

    profile: Profile
    volume: Volume
    findings: Findings
    manifest: Manifest

    def add(self, scene: Any, **wishes: Any) -> Result:
        """The result in `scene`, on a new node of the scan."""
        return self.add_to(scene, add_volume(scene, self.volume), **wishes)

    def add_to(self, scene: Any, volume_node: Any, **wishes: Any) -> Result:
        return add_result(scene, self.findings, volume_node, self.manifest, self.profile, **wishes)


@pytest.fixture
def nodule_case(volume: Volume, findings: Findings, blob_package: Callable[..., Path]) -> Case:
    """Three boxes, scores 0.91, 0.5 and 0.33."""
    run: dict[str, Any] = {"runtime": "ONNX Runtime", "device": "cpu", "precision": "float32", "threshold": 0.3}
    run["seconds"] = {"lungs": 0.5, "network": 2.0}
    whole = replace(findings, run=run, notes=("the scan has a gantry tilt of 3°",))
    return Case(PROFILES["MedDetect"], volume, whole, load_package(blob_package()).manifest)


@pytest.fixture
def landmark_case(volume: Volume, landmarks: tuple[Landmark, ...], dots_package: Callable[..., Path]) -> Case:
    """T12 to L5 of a chain: L2 and L5 missing, L3 flagged."""
    whole = Findings(landmarks=landmarks, scan=volume.name)
    return Case(PROFILES["MedLandmark"], volume, whole, load_package(dots_package()).manifest)


@pytest.fixture
def teeth_case(jaw: Jaw, teeth_manifest: Manifest) -> Case:
    """Six teeth, one of them without a number, and a canal."""
    return Case(PROFILES["MedToothSeg"], jaw.volume, jaw.findings, teeth_manifest)


@pytest.fixture(params=["nodule_case", "landmark_case", "teeth_case"])
def any_case(request: pytest.FixtureRequest) -> Case:
    """The findings of each module."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def put_under_transform(scene: Any) -> Callable[[Any], NDArray[np.float64]]:
    """Move and turn a node; return the 4×4 array of its transform to the world."""

    def put(node: Any) -> NDArray[np.float64]:
        import slicer

        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation(7, right_handed=True), (11.0, -7.0, 5.0)
        parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(parent, matrix)
        node.SetAndObserveTransformNodeID(parent.GetID())
        return matrix

    return put


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[SlicerHarness]:
    """A harness with settings of its own. An exception in a slot that nobody has seen fails the test at the end."""
    with SlicerHarness(tmp_path / "settings") as started:
        yield started


@pytest.fixture
def temporary(harness: SlicerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this test alone, to see what is left there; what the harness keeps lies elsewhere."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def slicer_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `slicer.util.pip_install` install from `tmp_path/wheels` into the returned folder, which is on the path."""
    slicer = pytest.importorskip("slicer")
    target = tmp_path / "site-packages"
    target.mkdir()
    monkeypatch.syspath_prepend(str(target))

    def pip_install(arguments: list[str]) -> None:
        options = ["--target", str(target), "--no-index", "--find-links", str(tmp_path / "wheels"), "--quiet"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    return target
