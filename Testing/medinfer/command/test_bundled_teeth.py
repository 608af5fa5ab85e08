"""The bundled tooth package on a held-out phantom: right, the same however a scan is stored, with mirrored numbers.

One run from the shell, of the module's sample scan, serves every test that looks at what such a run leaves.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from medinfer.command.cli import OK, main
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.library import find_package
from medinfer.library.places import DEFAULT_MODELS, bundled_folder
from medinfer.orientation import aligned, reorient
from medinfer.preparation.focus import focused_on
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid, Volume
from medslicer.sample_scans import SAMPLE_SCANS
from medtrain.datasets.tooth_names import FDI, mirrored
from medtrain.metrics.tooth_metrics import score_scan
from medtrain.phantoms.jaw import CbctSpec, JawScan, JawSpec, draw_jaws, scan_jaws

ID = DEFAULT_MODELS["segment"]


@pytest.fixture(scope="module")
def jaws() -> JawScan:
    """A held-out patient (training ends below seed 9000), not among those of the card."""
    drawn = draw_jaws(9900, JawSpec(dentition="full", restored=0.1), spacing=0.6)
    return scan_jaws(drawn, 9900, CbctSpec(field="both jaws", eight_bit=False, noise=0.05))


def find(volume: Volume, **options: str) -> Findings:
    package = find_package(ID)
    with open_package(package, **options) as session:
        return run(volume, package, session)


@pytest.fixture(scope="module")
def found(jaws: JawScan) -> Findings:
    return find(jaws.volume)


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a run from the shell leaves of the module's sample scan."""
    out, scan = tmp_path_factory.mktemp("teeth") / "out", SAMPLE_SCANS["MedToothSeg"].file
    assert main(["teeth", str(scan), "-o", str(out), "--names", "Universal", "--stl"]) == OK
    return out / "jaws"


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "teeth.csv").open()))


def labels_of(findings: Findings, volume: Volume) -> np.ndarray:
    assert findings.label_map is not None
    return findings.label_map.whole(volume).voxels


def test_the_package_is_small_whole_and_honest() -> None:
    package = find_package(ID)
    manifest = package.manifest
    teeth = manifest.labels_of(manifest.pass_named("naming"))
    assert [label.name for label in teeth] == [str(number) for number in FDI]
    assert [label.value for label in teeth] == list(FDI)
    assert [len(package.verified_files(one.network)) for one in manifest.passes] == [1, 1, 1, 1]
    assert sum(path.stat().st_size for path in (bundled_folder() / ID).iterdir()) <= 12e6
    assert "not for clinical use" in manifest.card.limits.lower()
    assert manifest.card.measured
    for label in teeth:
        assert label.terminology is not None
        assert label.group
        assert set(label.names) == {"FDI", "Universal", "anatomical"}


def test_the_teeth_of_a_held_out_phantom_are_found_under_their_numbers(jaws: JawScan, found: Findings) -> None:
    cut = [int(n) for n in np.unique(jaws.teeth) if n and n not in jaws.whole]
    score = score_scan("phantom", jaws.teeth, labels_of(found, jaws.volume), canal=jaws.canal, excluded=cut)
    assert len(score.missed) <= 1
    assert len(score.false) <= 1
    assert sum(pair.numbered_right for pair in score.pairs) >= len(score.pairs) - 2
    assert np.mean([pair.overlap.dice for pair in score.pairs]) >= 0.85
    assert not any("implant crown?" in segment.flags for segment in found.segments)
    for segment in found.segments:
        voxels = (labels_of(found, jaws.volume) == segment.value).sum()
        assert segment.volume_mm3 == pytest.approx(voxels * 0.6**3, rel=1e-6)


def test_a_scan_stored_otherwise_gives_the_same_teeth(jaws: JawScan, found: Findings) -> None:
    turned = reorient(jaws.volume, "SAR")
    other = find(Volume(np.ascontiguousarray(turned.voxels), turned.grid, "turned"))
    assert [segment.label for segment in other.segments] == [segment.label for segment in found.segments]
    assert other.label_map is not None
    assert found.label_map is not None
    back = aligned(other.label_map, jaws.volume.grid)
    np.testing.assert_array_equal(back.voxels, found.label_map.voxels)


def test_mirrored_volumes_give_mirrored_numbers(jaws: JawScan, found: Findings) -> None:
    """Left and right are told by the anatomy in the world, not by how the teeth lie to each other."""
    voxels = np.ascontiguousarray(jaws.volume.voxels[:, :, ::-1])
    there = find(Volume(voxels, jaws.volume.grid, "mirrored"))
    numbers = {int(s.label) for s in found.segments if s.label.isdecimal()}
    swapped = {mirrored(int(s.label)) for s in there.segments if s.label.isdecimal()}
    assert len(numbers & swapped) >= 0.9 * max(len(numbers), len(swapped))
    one = labels_of(found, jaws.volume)
    other = labels_of(there, jaws.volume)[:, :, ::-1]
    for number in numbers & swapped:
        mine, theirs = one == number, other == mirrored(number)
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) > 0.8


def test_air_and_a_block_of_water_hold_no_teeth_and_the_run_says_so() -> None:
    grid = Grid((60, 60, 60), np.diag([-1.0, -1.0, 1.0, 1.0]))
    rng = np.random.default_rng(0)
    for level in (-1000, 0):
        voxels = (level + rng.normal(0, 20, (60, 60, 60))).astype(np.int16)
        findings = find(Volume(voxels, grid, "empty"))
        assert findings.found == 0
        assert "nothing was found" in findings.notes[-1]
        assert findings.label_map is None


def test_a_run_from_the_shell_leaves_segments_table_scene_and_pictures(sample_run: Path) -> None:
    files = {path.name for path in sample_run.iterdir()}
    assert files >= {
        "findings.json", "teeth.csv", "teeth.nii.gz", "teeth.seg.nrrd", "scene.mrb", "axial.png", "panoramic.png",
    }
    rows = rows_of(sample_run)
    assert {row["label"] for row in rows if row["FDI"]} <= {str(n) for n in range(1, 33)}
    stored, scan = read_volume(sample_run / "teeth.nii.gz"), read_volume(SAMPLE_SCANS["MedToothSeg"].file)
    np.testing.assert_allclose(stored.grid.ijk_to_ras, scan.grid.ijk_to_ras, atol=1e-4)
    assert set(np.unique(stored.voxels)) - {0} == {int(row["value"]) for row in rows}
    assert list(sample_run.rglob("*.stl"))


def test_nearly_every_tooth_of_the_sample_scan_is_found_by_its_number(sample_run: Path) -> None:
    from medtrain.phantoms.sample_data import scan_teeth

    rows = rows_of(sample_run)
    drawn = {str(number) for number in scan_teeth().whole}
    assert len(drawn) >= 28
    assert len(drawn & {row["FDI"] for row in rows}) >= 28
    assert "Mandibular canal" in {row["label"] for row in rows}


@pytest.mark.xfail(
    strict=False, reason="a limit of the bundled model: with air in place of padding it finds teeth in a spine"
)
def test_a_real_chest_ct_holds_no_teeth(test_data: Path) -> None:
    """Looked for where the spine and the ribs' ends are, which are most like teeth: and some are found there."""
    chest = reorient(read_volume(test_data / "chest" / "LIDC-IDRI-0003.nii.gz"), "LPS")
    assert (chest.voxels[50:75, 290:345, 150:280] > 300).mean() > 0.01
    assert find(focused_on(chest, (50, 290, 150), (75, 345, 280))).found == 0
