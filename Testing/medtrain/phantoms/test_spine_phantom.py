"""The synthetic patient: exact centroids, published sizes and HU, real variants, and honest partial views."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from medtrain.phantoms.spine import (
    EXTRA,
    LEVELS,
    Patient,
    PatientSpec,
    ScanSpec,
    SpineScan,
    Tissue,
    draw_patient,
    scan_patient,
)
from medtrain.phantoms.spine.measures import chain

COARSE = 4.0  # mm
ADULT = PatientSpec(
    size=1.0, variant="usual", age=35, fat_mm=15, scoliosis_deg=2, arms_up=True, metal=False, table=False
)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return draw_patient(5, ADULT, COARSE)


@pytest.fixture(scope="module")
def lumbar(patient: Patient) -> SpineScan:
    return scan_patient(patient, 2, ScanSpec("lumbar", spacing_mm=COARSE, noise_hu=4, contrast=False, tilt_deg=0))


def middle(patient: Patient, tissue: Tissue) -> np.ndarray:
    """RAS centre of mass of a tissue."""
    return patient.grid.to_ras(np.argwhere(patient.tissues == tissue).mean(axis=0))


def test_a_seed_gives_the_same_patient_and_scan_and_another_seed_another(patient: Patient, lumbar: SpineScan) -> None:
    again = draw_patient(5, ADULT, COARSE)
    assert np.array_equal(again.tissues, patient.tissues)
    assert np.array_equal(again.vertebrae, patient.vertebrae)
    assert again.centroids == patient.centroids
    scan = scan_patient(again, 2, ScanSpec("lumbar", spacing_mm=COARSE, noise_hu=4, contrast=False, tilt_deg=0))
    assert np.array_equal(scan.volume.voxels, lumbar.volume.voxels)
    assert scan.truth == lumbar.truth
    assert draw_patient(6, ADULT, COARSE).centroids != patient.centroids


def test_the_grid_runs_to_the_head_the_back_and_the_left(patient: Patient) -> None:
    assert np.allclose(patient.grid.ijk_to_ras[:3, :3], np.diag([-COARSE, -COARSE, COARSE]))
    assert patient.tissues.shape == patient.vertebrae.shape == patient.grid.shape
    spine = np.mean(list(patient.centroids.values()), axis=0)
    assert middle(patient, Tissue.LIVER)[0] > spine[0] + 20  # R grows to the right
    assert middle(patient, Tissue.SPLEEN)[0] < spine[0] - 20
    assert middle(patient, Tissue.HEART)[1] > spine[1] + 20  # A grows to the front
    assert middle(patient, Tissue.BRAIN)[2] > patient.centroids["C1"][2]  # S grows to the head
    assert middle(patient, Tissue.URINE)[2] < patient.centroids["L3"][2]


def test_centroids_are_the_centres_of_mass_and_descend(patient: Patient) -> None:
    assert tuple(patient.centroids) == LEVELS
    matrix = patient.grid.ijk_to_ras
    for label, name in enumerate(LEVELS, start=1):
        k, j, i = np.nonzero(patient.vertebrae == label)
        naive = [matrix[row] @ [i.mean(), j.mean(), k.mean(), 1] for row in range(3)]
        assert patient.centroids[name] == pytest.approx(naive, abs=1e-6)
    heights = [patient.centroids[name][2] for name in LEVELS]
    assert all(upper > lower + 5 for upper, lower in pairwise(heights))


def test_levels_lie_as_far_apart_as_published(patient: Patient) -> None:
    places = [np.array(patient.centroids[name]) for name in LEVELS]
    apart = {name: np.linalg.norm(b - a) for name, (a, b) in zip(LEVELS[1:], pairwise(places), strict=True)}
    assert all(12 < apart[name] < 25 for name in LEVELS[1:8])
    assert all(17 < apart[name] < 34 for name in LEVELS[8:19])
    assert all(26 < apart[name] < 42 for name in LEVELS[19:])


def test_the_centroid_lies_in_the_back_of_a_lumbar_body(patient: Patient) -> None:
    """In TotalSegmentator's labels it lies 32-36 mm behind the front of a body of some 38 mm."""
    for name in ("L1", "L2", "L3", "L4"):
        points = patient.grid.to_ras(np.argwhere(patient.vertebrae == LEVELS.index(name) + 1))
        behind_front = points[:, 1].max() + COARSE / 2 - patient.centroids[name][1]
        assert 26 < behind_front < 40
        assert 30 < len(points) * COARSE**3 / 1000 < 80  # cm³


@pytest.mark.parametrize(
    ("variant", "missing", "extra_between"),
    [
        ("six lumbar", None, ("L5", "S1")),
        ("thirteen ribs", None, ("T12", "L1")),
        ("four lumbar", "L5", None),
        ("eleven ribs", "T12", None),
    ],
)
def test_variants_really_lack_or_gain_a_vertebra(
    variant: str, missing: str | None, extra_between: tuple[str, str] | None
) -> None:
    odd = draw_patient(1, PatientSpec(variant=variant, size=1.0, age=30), 5.0)
    assert odd.variant == variant
    present = set(np.unique(odd.vertebrae)) - {0}
    named = {LEVELS.index(name) + 1 for name in odd.centroids}
    assert present - {EXTRA} == named
    assert set(LEVELS) - set(odd.centroids) == ({missing} if missing else set())
    assert (EXTRA in present) == (extra_between is not None)
    if extra_between:
        height = odd.grid.to_ras(np.argwhere(odd.vertebrae == EXTRA).mean(axis=0))[2]
        upper, lower = (odd.centroids[name][2] for name in extra_between)
        assert upper - 10 > height > lower + 10


def test_the_chain_of_a_variant_keeps_the_order_of_the_levels() -> None:
    for variant in ("usual", "six lumbar", "four lumbar", "thirteen ribs", "eleven ribs"):
        names, places = chain(variant)
        assert len(names) == len(places)
        assert np.all(np.diff(places) > 0)


def test_a_child_is_small_and_scoliosis_bends(patient: Patient) -> None:
    child = draw_patient(3, PatientSpec(size=0.65, age=7, variant="usual", scoliosis_deg=0), COARSE)
    bent = draw_patient(3, PatientSpec(size=1.0, age=30, variant="usual", scoliosis_deg=45), COARSE)

    def length(one: Patient) -> float:
        return one.centroids["C1"][2] - one.centroids["S1"][2]

    def sway(one: Patient) -> float:
        return float(np.ptp([place[0] for place in one.centroids.values()]))

    assert length(child) < 0.75 * length(patient)
    assert sway(bent) > 2 * sway(patient)


def test_vertebrae_are_bone_and_whole(patient: Patient) -> None:
    bony = [Tissue.CORTICAL, Tissue.CANCELLOUS, Tissue.ENDPLATE, Tissue.LESION, Tissue.METAL]
    assert np.isin(patient.tissues[patient.vertebrae > 0], bony).all()
    for label in (3, 7, 12, 19, 22):
        parts, count = ndimage.label(patient.vertebrae == label, np.ones((3, 3, 3)))
        assert np.bincount(parts.ravel())[1:].max() > 0.95 * (parts > 0).sum(), count


def test_a_partial_view_tells_whole_from_cut(patient: Patient, lumbar: SpineScan) -> None:
    assert lumbar.truth
    assert lumbar.cut
    name = next(iter(lumbar.truth))
    shift = np.array(lumbar.truth[name]) - patient.centroids[name]  # without tilt the patient is only shifted
    grid, step = lumbar.volume.grid, COARSE
    first, last = grid.to_ras((0, 0, 0)), grid.to_ras(np.array(grid.shape) - 1)
    low, high = np.minimum(first, last) - step / 2, np.maximum(first, last) + step / 2
    for label, level in enumerate(LEVELS, start=1):
        inside, total, mass = 0, 0, np.zeros(3)
        for k, j, i in np.argwhere(patient.vertebrae == label):
            place = patient.grid.to_ras((k, j, i)) + shift
            total += 1
            if all(low[axis] <= place[axis] <= high[axis] for axis in range(3)):
                inside += 1
                mass += place
        if inside == total:
            assert lumbar.truth[level] == pytest.approx(mass / total, abs=1e-6)
            assert level not in lumbar.cut
        elif inside:
            assert lumbar.cut[level].fraction == pytest.approx(inside / total)
            assert lumbar.cut[level].position_ras == pytest.approx(mass / inside, abs=1e-6)
            assert level not in lumbar.truth
        else:
            assert level not in lumbar.truth
            assert level not in lumbar.cut


def test_a_tilt_moves_the_patient_as_one_body(patient: Patient) -> None:
    scan = scan_patient(patient, 4, ScanSpec("trunk", spacing_mm=COARSE, tilt_deg=12))
    names = list(scan.truth)
    assert len(names) > 10
    before = np.array([patient.centroids[name] for name in names])
    after = np.array([scan.truth[name] for name in names])
    apart = [np.linalg.norm(one[:, None] - one[None], axis=-1) for one in (before, after)]
    assert np.allclose(apart[0], apart[1], atol=1e-6)
    assert np.linalg.norm((after - after.mean(0)) - (before - before.mean(0)), axis=1).max() > 5


@pytest.mark.parametrize(
    ("tissue", "plain", "enhanced"),
    [
        (Tissue.FAT, (-125, -80), (-125, -80)),
        (Tissue.MUSCLE, (25, 70), (30, 85)),
        (Tissue.LIVER, (40, 75), (65, 135)),
        (Tissue.LUNG, (-900, -740), (-900, -740)),
        (Tissue.HEART, (30, 55), (80, 215)),
        (Tissue.BRAIN, (20, 50), (20, 50)),
        (Tissue.CANCELLOUS, (50, 450), (50, 450)),
        (Tissue.AIR, (-1024, -950), (-1024, -950)),
    ],
)
def test_tissues_have_their_published_hu(
    whole_scans: dict[bool, tuple[SpineScan, np.ndarray]], tissue: Tissue, plain: tuple, enhanced: tuple
) -> None:
    for contrast, (low, high) in ((False, plain), (True, enhanced)):
        scan, tissues = whole_scans[contrast]
        deep = ndimage.binary_erosion(tissues == tissue, np.ones((3, 3, 3)))
        region = deep if deep.sum() > 20 else tissues == tissue
        assert low < np.median(scan.volume.voxels[region]) < high


@pytest.fixture(scope="module")
def whole_scans(patient: Patient) -> dict[bool, tuple[SpineScan, np.ndarray]]:
    """Scans of everything without tilt, and the tissue at each voxel of the scan (-1 outside the patient's map)."""
    scans = {}
    for contrast in (False, True):
        scan = scan_patient(patient, 9, ScanSpec("whole", COARSE, noise_hu=3, contrast=contrast, tilt_deg=0))
        name = next(iter(scan.truth))
        shift = np.array(scan.truth[name]) - patient.centroids[name]
        places = np.moveaxis(np.indices(scan.volume.shape), 0, -1)
        index = np.rint(patient.grid.to_index(scan.volume.grid.to_ras(places) - shift)).astype(int)
        inside = np.all((index >= 0) & (index < patient.grid.shape), axis=-1)
        tissues = np.full(scan.volume.shape, -1)
        tissues[inside] = patient.tissues[tuple(index[inside].T)]
        scans[contrast] = (scan, tissues)
    return scans


def test_the_scan_is_an_int16_ct_with_the_thickness_asked_for(patient: Patient) -> None:
    scan = scan_patient(patient, 1, ScanSpec("neck", thickness_mm=3.0, noise_hu=20))
    assert scan.volume.voxels.dtype == np.int16
    assert scan.volume.modality == "CT"
    assert scan.volume.spacing[0] == pytest.approx(3.0)
    assert 0.7 <= scan.volume.spacing[2] <= 1.2
    assert np.allclose(scan.volume.grid.directions, np.diag([-1, -1, 1]))
