"""The synthetic jaws: numbers by anatomy, published sizes, teeth in one piece, canals, variants, true scans."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from medtrain.phantoms.jaw import (
    FIRST_EXTRA,
    METALS,
    CbctSpec,
    Jaws,
    JawSpec,
    Tissue,
    add_streaks,
    draw_jaws,
    scan_jaws,
)
from medtrain.phantoms.jaw.dental_arch import draw_arch
from medtrain.phantoms.jaw.tooth_sizes import PERMANENT, fdi, is_upper, kind_of

COARSE = 1.0  # mm
ADULT = JawSpec(
    "full", age=24, impacted=False, crowding=0.0, extra=0, restored=0.0, implants=0, bite="closed", canal_wall=True
)
CHILD = replace(ADULT, dentition="mixed", age=8.0)


@pytest.fixture(scope="module")
def adult() -> Jaws:
    return draw_jaws(3, ADULT, 0.6)


@pytest.fixture(scope="module")
def child() -> Jaws:
    return draw_jaws(3, CHILD, 0.8)


@pytest.fixture(scope="module")
def several() -> list[Jaws]:
    """Patients of many kinds."""
    specs = (
        ADULT,
        CHILD,
        replace(ADULT, age=4.0, dentition="deciduous"),
        replace(ADULT, impacted=True, extra=2),
        replace(ADULT, crowding=5.0, restored=0.8, bite="open"),
        replace(ADULT, dentition="gaps", implants=3, age=40),
    )
    return [draw_jaws(10 + n, spec, COARSE) for n, spec in enumerate(specs)]


@cache
def teeth_of(jaws: Jaws) -> dict[int, np.ndarray]:
    """Voxels `[n, 3]` (k, j, i) of each tooth."""
    return {
        number: np.argwhere(jaws.teeth[box] == number) + [part.start for part in box]
        for number, box in enumerate(ndimage.find_objects(jaws.teeth), start=1)
        if box is not None
    }


def numbers(jaws: Jaws) -> set[int]:
    return set(teeth_of(jaws))


def centroid(jaws: Jaws, number: int) -> np.ndarray:
    """RAS mm."""
    return jaws.grid.to_ras(teeth_of(jaws)[number].mean(axis=0))


def middle(jaws: Jaws, *tissues: Tissue) -> np.ndarray:
    return jaws.grid.to_ras(np.argwhere(np.isin(jaws.tissues, tissues)).mean(axis=0))


def test_numbers_of_teeth_follow_fdi() -> None:
    assert [fdi(True, True, 1), fdi(True, False, 8), fdi(False, False, 3), fdi(False, True, 5)] == [11, 28, 33, 45]
    assert [fdi(True, True, 5, True), fdi(False, True, 1, True)] == [55, 81]
    assert [kind_of(n) for n in (12, 43, 24, 36, 54, 53)] == [
        "incisor",
        "canine",
        "premolar",
        "molar",
        "molar",
        "canine",
    ]
    assert [is_upper(n) for n in (21, 65, 38, 74)] == [True, True, False, False]


def test_quadrants_lie_where_fdi_puts_them(adult: Jaws, child: Jaws) -> None:
    """11..18 upper right (world x > 0), 2x upper left, 3x lower left, 4x lower right; 5x..8x in the same order."""
    for jaws in (adult, child):
        level = np.mean([centroid(jaws, n)[2] for n in numbers(jaws)])
        for number in numbers(jaws):
            right, _, up = centroid(jaws, number)
            assert (right > 0) == (number // 10 in (1, 4, 5, 8)), number
            assert (up > level) == is_upper(number), number


def test_teeth_stand_along_the_arch_from_the_front_to_the_back(adult: Jaws) -> None:
    for quadrant in (1, 2, 3, 4):
        front = [centroid(adult, 10 * quadrant + place)[1] for place in (1, 3, 4, 5, 6, 7)]
        aside = [abs(centroid(adult, 10 * quadrant + place)[0]) for place in (1, 2, 3, 4, 5, 6)]
        assert np.all(np.diff(front) < 0)
        assert np.all(np.diff(aside) > 0)


def test_axes_are_left_posterior_superior(adult: Jaws) -> None:
    np.testing.assert_allclose(adult.grid.directions, np.diag([-1.0, -1.0, 1.0]))
    assert adult.grid.spacing == pytest.approx((0.6, 0.6, 0.6))
    assert adult.tissues.shape == adult.teeth.shape == adult.canal.shape == adult.grid.shape


def test_sizes_are_those_of_the_table(adult: Jaws) -> None:
    """Height along the tooth's own long axis within 15 %, volume between 0.35 and 0.75 of its bounding box."""
    for number in (11, 13, 15, 21, 33, 35, 44):
        size = PERMANENT[is_upper(number), number % 10]
        points = adult.grid.to_ras(teeth_of(adult)[number])
        points = points - points.mean(axis=0)
        _, _, axes = np.linalg.svd(points, full_matrices=False)
        along = np.ptp(points @ axes[0]) + 0.6
        assert along == pytest.approx(size.crown + size.root, rel=0.15), number
        volume = len(points) * 0.6**3
        assert 0.3 < volume / ((size.crown + size.root) * size.width * size.depth) < 0.65, number


def test_crowns_are_as_wide_as_in_the_table(adult: Jaws) -> None:
    """First molars: the section halfway up the crown spans width by depth (they stand nearly along the axes)."""
    for number in (16, 26, 36, 46):
        size = PERMANENT[is_upper(number), 6]
        inside = adult.teeth == number
        enamel = inside & (adult.tissues == Tissue.ENAMEL)
        k = int(np.argwhere(enamel)[:, 0].mean())
        area = np.count_nonzero(inside[k]) * 0.36
        assert area == pytest.approx(0.9 * size.width * size.depth, rel=0.2), number


def test_roots_by_kind(adult: Jaws) -> None:
    """A slice 3 mm before the apices shows three roots of an upper first molar, two of a lower, one of a canine."""
    for number, count in ((16, 3), (26, 3), (36, 2), (46, 2), (13, 1), (33, 1)):
        inside = adult.teeth == number
        slices = np.flatnonzero(inside.any(axis=(1, 2)))
        k = slices[-7] if is_upper(number) else slices[6]  # 4 mm
        assert cc3d.connected_components(inside[k].astype(np.uint8), connectivity=4).max() == count, number


def test_roots_point_into_the_bone_and_enamel_covers_the_crown(adult: Jaws) -> None:
    for number in numbers(adult):
        points = teeth_of(adult)[number]
        up = adult.grid.to_ras(points[adult.tissues[tuple(points.T)] == Tissue.ENAMEL])[:, 2].mean()
        whole = centroid(adult, number)[2]
        assert (up < whole) == is_upper(number), number


def test_each_tooth_is_one_piece(several: list[Jaws]) -> None:
    for jaws in several:
        for number in numbers(jaws):
            points = teeth_of(jaws)[number]
            one = np.zeros(np.ptp(points, axis=0) + 1, np.uint8)
            one[tuple((points - points.min(axis=0)).T)] = 1
            assert cc3d.connected_components(one, connectivity=6).max() == 1, number


def test_teeth_consist_of_tooth_and_nothing_else_does(several: list[Jaws]) -> None:
    only = (Tissue.ENAMEL, Tissue.DENTIN, Tissue.PULP, Tissue.COMPOSITE, Tissue.AMALGAM, Tissue.ROOT_FILLING)
    for jaws in several:
        assert np.isin(jaws.tissues[jaws.teeth > 0], (*only, Tissue.CROWN)).all()
        assert not np.isin(jaws.tissues[jaws.teeth == 0], only).any()
        assert not (jaws.teeth[jaws.tissues == Tissue.IMPLANT]).any()


def test_roots_stand_in_bone(adult: Jaws) -> None:
    """Around the apical half of every root lies ligament, bone or another root, hardly soft tissue."""
    hard = (Tissue.LIGAMENT, Tissue.LAMINA_DURA, Tissue.CORTICAL, Tissue.CANCELLOUS, Tissue.SINUS, Tissue.MUCOSA)
    for number in (11, 23, 36, 41, 14, 47):
        inside = adult.teeth == number
        slices = np.flatnonzero(inside.any(axis=(1, 2)))
        part = slices[-6:-1] if is_upper(number) else slices[1:6]
        around = np.zeros_like(inside)
        around[:, 1:-1, 1:-1] = inside[:, :-2, 1:-1] | inside[:, 2:, 1:-1] | inside[:, 1:-1, :-2] | inside[:, 1:-1, 2:]
        ring = (around & ~inside)[part]
        tissues, teeth = adult.tissues[part][ring], adult.teeth[part][ring]
        assert np.mean(np.isin(tissues, hard) | (teeth > 0)) > 0.9, number


def test_canals_run_under_the_molars_from_ramus_to_chin(several: list[Jaws], adult: Jaws) -> None:
    for jaws in [*several, adult]:
        parts = cc3d.connected_components(jaws.canal.astype(np.uint8), connectivity=26)
        assert parts.max() == 2
        assert not (jaws.canal & (jaws.teeth > 0)).any()
        assert (jaws.tissues[jaws.canal] == Tissue.CANAL).all()
        for part in (1, 2):
            points = jaws.grid.to_ras(np.argwhere(parts == part))
            assert np.ptp(points[:, 1]) > 35  # mm, front to back
            assert abs(np.sign(points[:, 0]).sum()) == len(points)  # on its own side
    for number in (36, 37, 46, 47):
        k, j, i = teeth_of(adult)[number].T
        near = adult.canal[:, j.min() : j.max() + 1, max(i.min() - 12, 0) : i.max() + 13]
        assert np.flatnonzero(near.any(axis=(1, 2))).max() <= k.min() + 3, number


def test_canal_is_two_to_four_millimetres_wide(adult: Jaws) -> None:
    for j in (teeth_of(adult)[36][:, 1].mean(), teeth_of(adult)[37][:, 1].mean()):
        area = np.count_nonzero(adult.canal[:, int(j)]) * 0.36 / 2  # two canals, cut about across
        assert 1.5 < 2 * np.sqrt(area / np.pi) < 4.5


def test_anatomy_lies_where_it_belongs(adult: Jaws) -> None:
    tongue, sinus, teeth = middle(adult, Tissue.TONGUE), middle(adult, Tissue.SINUS), middle(adult, Tissue.DENTIN)
    spine = middle(adult, Tissue.SPINE_CORTICAL, Tissue.SPINE_CANCELLOUS)
    assert sinus[2] > centroid(adult, 16)[2] > centroid(adult, 46)[2]
    assert spine[1] < centroid(adult, 18 if 18 in numbers(adult) else 17)[1] - 20
    assert teeth[1] > tongue[1] > spine[1]
    lips = adult.tissues[: adult.tissues.shape[0] // 2, 0]  # the nose may reach the border
    assert lips.max() == Tissue.AIR


def test_the_same_seed_is_the_same_patient() -> None:
    first, again, other = (draw_jaws(seed, spacing=1.5) for seed in (7, 7, 8))
    assert np.array_equal(first.tissues, again.tissues)
    assert np.array_equal(first.teeth, again.teeth)
    assert first.grid.shape != other.grid.shape or not np.array_equal(first.teeth, other.teeth)


def test_volumes_agree_between_spacings(adult: Jaws) -> None:
    """The same shapes, sampled at 0.6 and 0.9 mm."""
    coarse = draw_jaws(3, ADULT, 0.9)
    assert numbers(adult) == numbers(coarse)
    for number in numbers(adult):
        fine, rough = len(teeth_of(adult)[number]) * 0.6**3, len(teeth_of(coarse)[number]) * 0.9**3
        assert rough == pytest.approx(fine, rel=0.06), number
        np.testing.assert_allclose(centroid(adult, number), centroid(coarse, number), atol=0.25)
    assert coarse.canal.sum() * 0.9**3 == pytest.approx(adult.canal.sum() * 0.6**3, rel=0.12)


def test_a_full_adult_dentition(adult: Jaws) -> None:
    permanent = {10 * q + p for q in (1, 2, 3, 4) for p in range(1, 8)}
    assert permanent <= numbers(adult) <= permanent | {18, 28, 38, 48}


def test_mixed_dentition_at_eight_years(child: Jaws) -> None:
    """Incisors and first molars are through; deciduous canines and molars stand over the germs of their successors."""
    present = numbers(child)
    assert {11, 21, 31, 41, 16, 26, 36, 46} <= present
    assert {54, 55, 64, 65, 74, 75, 84, 85, 53, 63} <= present
    for deciduous, germ in ((55, 15), (64, 24), (75, 35), (84, 44)):
        above = centroid(child, germ)[2] > centroid(child, deciduous)[2]
        assert above == is_upper(germ)
    assert not present & {18, 28, 38, 48}
    assert np.count_nonzero(child.tissues == Tissue.FOLLICLE) > 0


def test_deciduous_dentition_at_four_years(several: list[Jaws]) -> None:
    present = numbers(several[2])
    assert {10 * q + p for q in (5, 6, 7, 8) for p in range(1, 6)} <= present
    assert {16, 26, 36, 46, 11, 21} <= present  # germs


def test_edentulous_and_few() -> None:
    upper = numbers(draw_jaws(1, JawSpec("upper edentulous", extra=0), COARSE))
    lower = numbers(draw_jaws(1, JawSpec("lower edentulous", extra=0), COARSE))
    few = numbers(draw_jaws(1, JawSpec("few", extra=0), COARSE))
    assert {is_upper(n) for n in upper} == {False}
    assert {is_upper(n) for n in lower} == {True}
    assert 4 <= len(few) <= 16


def test_impacted_crowded_extra_restored_and_implants_are_there(several: list[Jaws]) -> None:
    impacted, crowded, gaps = several[3], several[4], several[5]
    assert any(n >= FIRST_EXTRA for n in numbers(impacted))
    third = [n for n in numbers(impacted) if n in (18, 28, 38, 48)]
    assert third
    plain = several[0]
    width = [np.linalg.norm(centroid(jaws, 33) - centroid(jaws, 43)) for jaws in (plain, crowded)]
    assert width[1] < width[0]
    for jaws, tissue in ((crowded, Tissue.CROWN), (crowded, Tissue.COMPOSITE), (gaps, Tissue.IMPLANT)):
        assert np.count_nonzero(jaws.tissues == tissue) > 0
    assert not np.isin(plain.tissues, METALS).any()


def test_the_bite_opens() -> None:
    closed, opened = (draw_jaws(4, replace(ADULT, bite=bite), COARSE) for bite in ("closed", "open"))
    gap = [centroid(jaws, 11)[2] - centroid(jaws, 41)[2] for jaws in (closed, opened)]
    assert gap[1] > gap[0] + 3


def test_an_arch_has_the_asked_length_and_width() -> None:
    arch = draw_arch(50.0, 27.0, 2.6, 3.0, 0.0)
    assert arch.at(50.0)[0] == pytest.approx(27.0, abs=0.1)
    assert arch.at(-50.0)[0] == pytest.approx(-27.0, abs=0.1)
    np.testing.assert_allclose(arch.at(0.0), [0.0, 3.0], atol=1e-6)
    steps = np.linalg.norm(np.diff(arch.points, axis=0), axis=1)
    np.testing.assert_allclose(steps, np.diff(arch.arc), atol=0.01)


def test_offsets_from_an_arch_are_nearest_distances() -> None:
    arch = draw_arch(50.0, 27.0, 2.6, 3.0, 0.02, 0.2)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-35, 35, 40), rng.uniform(-40, 15, 40)
    out, arc = arch.offsets(x, y)
    away = np.linalg.norm(arch.points[None] - np.stack([x, y], 1)[:, None], axis=2)
    np.testing.assert_allclose(np.abs(out), away.min(axis=1), atol=1e-4)
    np.testing.assert_allclose(arc, arch.arc[away.argmin(axis=1)], atol=1e-4)
    assert out[(np.abs(x) < 3) & (y > 6)].min(initial=1.0) > 0  # before the lips is outward


def test_streaks_stay_in_slices_with_metal() -> None:
    metal = np.zeros((10, 48, 56), bool)
    metal[4:6, 20:28, 10:18] = True
    metal[5, 22:30, 38:46] = True
    image = np.random.default_rng(0).normal(0, 10, metal.shape).astype(np.float32)
    result = add_streaks(image, metal, np.random.default_rng(1))
    changed = (result != image).any(axis=(1, 2))
    assert changed.tolist() == metal.any(axis=(1, 2)).tolist()
    assert np.array_equal(result[metal], image[metal])
    between = (result - image)[5, 24:27, 22:34]
    assert between.mean() < -50  # a dark band joins two pieces of metal
    far = np.abs((result - image)[5, 40:, :]).mean()
    assert far < np.abs(between).mean()
    assert np.array_equal(result, add_streaks(image, metal, np.random.default_rng(1)))


def test_a_scan_shows_what_its_labels_say(adult: Jaws) -> None:
    scan = scan_jaws(adult, 5, CbctSpec("both jaws", noise=0.03, eight_bit=False, drift=False))
    assert scan.volume.voxels.dtype == np.int16
    assert scan.volume.voxels.shape == scan.teeth.shape == scan.canal.shape == scan.volume.grid.shape
    grey = scan.volume.voxels.astype(float)
    start = np.rint(adult.grid.to_index(scan.volume.grid.to_ras([0, 0, 0]))).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, scan.teeth.shape, strict=True))
    field = np.ptp(grey, axis=0) > 0  # the field of view may be round
    assert np.array_equal(adult.teeth[box] * field, scan.teeth)
    assert np.array_equal(adult.canal[box] & field, scan.canal)
    tissues, seen = adult.tissues[box], np.broadcast_to(field, grey.shape)
    order = [
        grey[(tissues == t) & seen].mean()
        for t in (Tissue.FAT, Tissue.SOFT, Tissue.CORTICAL, Tissue.DENTIN, Tissue.ENAMEL)
    ]
    assert np.all(np.diff(order) > 0)


def test_whole_teeth_are_those_that_lost_nothing(several: list[Jaws]) -> None:
    jaws = several[0]
    for field in ("upper jaw", "small", "both jaws"):
        scan = scan_jaws(jaws, 6, CbctSpec(field))
        kept = {n for n, points in teeth_of(jaws).items() if np.count_nonzero(scan.teeth == n) == len(points)}
        assert kept == set(scan.whole), field
    upper = set(scan_jaws(jaws, 6, CbctSpec("upper jaw")).whole)
    assert {11, 16, 26} <= upper
    assert not upper & {46, 47, 36, 37, 43}


def test_nothing_is_labelled_beyond_a_round_field(several: list[Jaws]) -> None:
    """Outside the cylinder the voxels are constant, and no tooth or canal is claimed there."""
    jaws, cut = several[0], 0
    for seed in range(6):
        scan = scan_jaws(jaws, seed, CbctSpec("small", noise=0.1, drift=False, eight_bit=False))
        unseen = np.ptp(scan.volume.voxels, axis=0) == 0  # columns without any noise
        assert not scan.teeth[:, unseen].any()
        assert not scan.canal[:, unseen].any()
        cut += unseen[0, 0]
    assert 0 < cut < 6


def test_scans_vary_in_field_and_grey_values(several: list[Jaws]) -> None:
    scans = [scan_jaws(several[1], seed).volume.voxels for seed in range(4)]
    assert len({voxels.shape for voxels in scans}) > 1
    assert np.array_equal(scan_jaws(several[1], 0).volume.voxels, scans[0])
    eight = scan_jaws(several[1], 1, CbctSpec(eight_bit=True)).volume.voxels
    assert eight.min() >= 0
    assert eight.max() <= 255
