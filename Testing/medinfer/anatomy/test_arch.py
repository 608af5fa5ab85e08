"""Numbers along dental arches, against all ways to give them and against dentitions drawn as half ellipses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.anatomy.arch import ArchName, names_along_arches
from medinfer.anatomy.arch_curve import fit_curve, places_along, usual_arch
from medinfer.anatomy.arch_lattice import ArchLattice, Spacing
from medinfer.anatomy.arch_planes import arch_probabilities
from medinfer.manifest import Arch

QUADRANTS = {1: (1, 1), 2: (-1, 1), 3: (-1, -1), 4: (1, -1)}  # towards the right, upwards
NAMES = tuple(f"{q}{n}" for q in range(1, 9) for n in range(1, 9 if q < 5 else 6))
PERMANENT = NAMES[:32]
WIDTHS = {1: (8.5, 6.5, 7.5, 7, 7, 10, 9, 8.5), -1: (5, 5.5, 7, 7, 7, 11, 10.5, 10)}  # upper, lower; mm
THRESHOLD = 0.5


def arch(right: int, left: int) -> Arch:
    def place(quadrant: int, n: int) -> tuple[str, ...]:
        return (f"{quadrant}{n}", f"{quadrant + 4}{n}") if n < 6 else (f"{quadrant}{n}",)

    return Arch(places=(*(place(right, n) for n in range(8, 0, -1)), *(place(left, n) for n in range(1, 9))))


ARCHES = (arch(1, 2), arch(4, 3))


def mirrored(name: str) -> str:
    return {"1": "2", "2": "1", "3": "4", "4": "3", "5": "6", "6": "5", "7": "8", "8": "7"}[name[0]] + name[1]


def place(name: str) -> np.ndarray:
    """Of a tooth in an upright head, RAS mm: on a half ellipse, the jaws 20 mm apart."""
    right, up = QUADRANTS[(int(name[0]) - 1) % 4 + 1]
    widths = WIDTHS[up][: int(name[1])]
    angle = np.linspace(0, 2.2, 400)
    points = np.column_stack([27 * np.sin(angle), 50 * np.cos(angle) - 50])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    x, y = (np.interp(sum(widths) - widths[-1] / 2, length, column) for column in points.T)
    return np.array([right * x, y, 10.0 * up])


def places(names: Sequence[str], tilt: Sequence[float] = (0, 0, 0), scale: float = 1.0) -> np.ndarray:
    """`[n, 3]`, the head turned by degrees about R, A and S."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(tilt)):
        one, other = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[[one, other], [one, other]] = np.cos(angle)
        step[one, other], step[other, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return np.array([place(name) for name in names]).reshape(-1, 3) @ turn.T * scale


def answers(looks: Sequence[str], sure: float = 0.8) -> np.ndarray:
    """`[n, 52]`: so sure of what each tooth looks like; the rest on all."""
    scores = np.full((len(looks), len(NAMES)), (1 - sure) / (len(NAMES) - 1))
    for row, name in zip(scores, looks, strict=True):
        row[NAMES.index(name)] = sure
    return scores


def named(scores: np.ndarray, positions: np.ndarray, arches: Sequence[Arch] = ARCHES) -> list[ArchName]:
    found = names_along_arches(scores, NAMES, positions, arches, THRESHOLD)
    assert len(found) == len(positions)
    assert all(0 <= one.confidence <= 1 for one in found)
    labels = [one.label for one in found if one.label is not None]
    assert len(set(labels)) == len(labels)
    return found


def labels(found: Sequence[ArchName]) -> list[str | None]:
    return [one.label for one in found]


# The lattice, against its definition.

SPACING_MM, MOST = 2.5, 2.0
PLACE = (0, 1, 1, 2)
USUAL = np.array([-7.0, 0.0, 0.0, 7.0])


def weight(named: np.ndarray, unnamed: np.ndarray, along: np.ndarray, way: Sequence[int | None]) -> float:
    """The definition: −∞ for a label given twice or places out of order."""
    given = [(n, label) for n, label in enumerate(way) if label is not None]
    total = sum(named[n, label] for n, label in given)
    total += sum(unnamed[n] for n, label in enumerate(way) if label is None)
    if len({label for _, label in given}) < len(given):
        return -np.inf
    for (n, one), (m, other) in pairwise(given):
        if PLACE[other] < PLACE[one]:
            return -np.inf
        off = along[m] - along[n] - (USUAL[other] - USUAL[one])
        total -= min(0.5 * (off / SPACING_MM) ** 2, MOST)
    return total


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_no_other_way_to_name_is_worth_more_and_probabilities_are_shares_of_all(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    named, unnamed = random.normal(-2, 2, (count, 4)), random.normal(-3, 1, count)
    along = np.sort(random.uniform(-15, 15, count))
    lattice = ArchLattice(named, unnamed, PLACE, Spacing(along, USUAL, SPACING_MM, MOST))
    ways = list(product([None, *range(4)], repeat=count))
    weights = np.array([weight(named, unnamed, along, way) for way in ways])
    assert weight(named, unnamed, along, lattice.best()) == pytest.approx(weights.max())
    share = np.exp(weights - weights.max())
    share /= share.sum()
    expected = np.array([
        [sum(s for s, way in zip(share, ways, strict=True) if way[n] == label) for label in range(4)]
        for n in range(count)
    ]).reshape(count, 4)
    assert lattice.probabilities() == pytest.approx(expected, abs=1e-9)


def test_three_alternatives_of_one_place_stand_in_any_order() -> None:
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        named = np.log(np.full((3, 3), 0.01))
        named[range(3), order] = np.log(0.9)
        flat = Spacing(np.zeros(3), np.zeros(3), 1.0, 1.0)
        assert ArchLattice(named, np.full(3, -9.0), (0, 0, 0), flat).best() == list(order)


# The curve and the planes.


def test_the_usual_arch_is_as_long_as_its_teeth_are_wide() -> None:
    along = places_along(16)
    assert along == pytest.approx(-along[::-1])
    assert np.diff(along)[7] == pytest.approx(6.9)
    steps = np.linspace(along[0], along[-1], 5000)
    length = np.linalg.norm(np.diff(usual_arch(steps), axis=0), axis=1).sum()
    assert length == pytest.approx(along[-1] - along[0], rel=1e-3)
    assert usual_arch(along)[0, 0] > 0 > usual_arch(along)[-1, 0], "from the right to the left"


def test_an_odd_number_of_places_has_one_on_the_midline() -> None:
    along = places_along(3)
    assert along == pytest.approx([-(6.9 + 6.0) / 2, 0, (6.9 + 6.0) / 2])
    assert len(places_along(0)) == 0


@pytest.mark.parametrize("tilt", [(0, 0, 0), (30, 0, 0), (0, -30, 0), (20, 20, -25)])
def test_the_curve_goes_through_known_teeth_however_the_head_is_tilted(tilt: tuple[float, float, float]) -> None:
    names = [f"1{n}" for n in range(8, 0, -1)] + [f"2{n}" for n in range(1, 9)]
    positions, along = places(names, tilt), places_along(16)
    curve = fit_curve(positions, np.eye(16), along)
    assert np.linalg.norm(curve.at(along) - positions, axis=1).max() < 4
    where, _ = curve.nearest(positions, along[-1])
    assert (np.diff(where) > 2.5).all()


def test_teeth_go_to_their_jaw_by_height_where_the_network_is_torn() -> None:
    positions = places(PERMANENT, (25, -20, 10))
    upper = np.array([name[0] in "12" for name in PERMANENT])
    scores = np.where(np.column_stack([upper, ~upper]), 0.9, 0.1)
    scores[[2, 20]] = (0.1, 0.9), (0.85, 0.15)
    assert (arch_probabilities(scores, positions).argmax(axis=1) == np.where(upper, 0, 1)).all()


def test_teeth_in_one_plane_are_of_one_jaw() -> None:
    scores = np.full((7, 2), (0.9, 0.1))
    scores[3] = (0.2, 0.8)
    found = arch_probabilities(scores, places([f"1{n}" for n in range(1, 8)]))
    assert (found[:, 0] > 0.99).all()
    # One tooth lies in one plane with itself: what the network says is all there is.
    assert arch_probabilities(np.array([[0.3, 0.6]]), np.zeros((1, 3)))[0] == pytest.approx([1 / 3, 2 / 3])


# All together.

tilts = st.tuples(*[st.integers(-30, 30)] * 3)


@given(missing=st.sets(st.sampled_from(PERMANENT), max_size=14), tilt=tilts, scale=st.floats(0.85, 1.1))
@settings(max_examples=12, deadline=None)
def test_what_the_network_is_sure_of_stays_as_it_is(missing: set[str], tilt, scale: float) -> None:
    names = [name for name in PERMANENT if name not in missing]
    found = named(answers(names), places(names, tilt, scale))
    assert labels(found) == names
    assert not any(one.flags for one in found)


@given(seed=st.integers(0, 2**32 - 1), tilt=tilts)
@settings(max_examples=10, deadline=None)
def test_mirrored_teeth_with_mirrored_answers_have_mirrored_names(seed: int, tilt) -> None:
    random = np.random.default_rng(seed)
    names = random.permutation(PERMANENT)[: random.integers(1, 33)]
    scores = answers(names, 0.3) * random.uniform(0.2, 5, (len(names), len(NAMES)))
    scores /= scores.sum(axis=1, keepdims=True)
    positions = places(names, tilt) + random.normal(0, 1.5, (len(names), 3))
    other = scores[:, [NAMES.index(mirrored(name)) for name in NAMES]]
    here, there = named(scores, positions), named(other, positions * (-1, 1, 1))
    assert [one.label and mirrored(one.label) for one in there] == labels(here)
    assert [one.confidence for one in there] == pytest.approx([one.confidence for one in here], abs=1e-6)


def test_the_order_of_the_objects_is_of_no_account() -> None:
    order = np.random.default_rng(0).permutation(32)
    scores, positions = answers(PERMANENT, 0.4), places(PERMANENT)
    assert labels(named(scores[order], positions[order])) == [PERMANENT[n] for n in order]


def test_scores_smeared_on_neighbours_are_corrected() -> None:
    names = [name for name in PERMANENT if name not in ("14", "36")]
    scores = answers(names, 0.45)
    for n, name in enumerate(names):
        for step in (-1, 1):
            if f"{name[0]}{int(name[1]) + step}" in NAMES:
                scores[n, NAMES.index(f"{name[0]}{int(name[1]) + step}")] = 0.25
    # Every third one is taken for its neighbour.
    wrong = {"12": "13", "16": "17", "21": "22", "24": "23", "27": "26", "33": "34", "42": "41", "45": "44"}
    for name, other in wrong.items():
        scores[names.index(name), [NAMES.index(name), NAMES.index(other)]] = 0.25, 0.5
    scores /= scores.sum(axis=1, keepdims=True)
    assert labels(named(scores, places(names, (10, 5, -10)))) == names


@pytest.mark.parametrize(("name", "looks"), [("16", "26"), ("43", "33"), ("11", "21"), ("36", "46"), ("25", "24")])
def test_one_tooth_taken_for_its_twin_or_neighbour_gets_its_own_number(name: str, looks: str) -> None:
    scores = answers(PERMANENT, 0.9)
    n = PERMANENT.index(name)
    scores[n] = answers([looks], 0.9)
    assert labels(named(scores, places(PERMANENT))) == list(PERMANENT)


def test_an_antagonist_s_number_is_corrected_by_height() -> None:
    names = [name for name in PERMANENT if name != "46"]
    looks = ["46" if name == "16" else name for name in names]
    assert labels(named(answers(looks, 0.8), places(names)))[names.index("16")] == "16"


def test_a_mixed_dentition_keeps_both_teeth_of_a_place() -> None:
    deciduous = ["53", "54", "55", "63", "64", "65", "73", "74", "75", "83", "84", "85"]
    germs = ["13", "15", "24", "33", "44"]
    erupted = [f"{q}{n}" for q in range(1, 5) for n in (1, 2, 6)]
    names = [*erupted, *deciduous, *germs]
    positions = places(names)
    for n, name in enumerate(names):
        if name in germs:
            positions[n] += (0.4, -2, 7 if name[0] in "12" else -7)
    assert labels(named(answers(names, 0.7), positions)) == names


def test_the_deciduous_dentition_alone() -> None:
    names = NAMES[32:]
    assert labels(named(answers(names, 0.6), places(names, scale=0.85))) == list(names)


def test_one_deciduous_answer_among_permanent_teeth_is_doubted_and_a_sure_one_believed() -> None:
    names = [*PERMANENT[:4], "55", *PERMANENT[5:]]
    assert labels(named(answers(names, 0.99), places(names))) == names
    torn = answers(PERMANENT, 0.9)
    torn[4] = 0.0
    torn[4, [NAMES.index("15"), NAMES.index("55")]] = 0.4, 0.6
    assert labels(named(torn, places(PERMANENT))) == list(PERMANENT)


@pytest.mark.parametrize("quadrant", [1, 2, 3, 4])
def test_one_quadrant_alone(quadrant: int) -> None:
    names = [f"{quadrant}{n}" for n in (1, 2, 3, 4, 5, 7)]
    looks = [f"{quadrant}{n}" for n in (1, 2, 2, 4, 5, 7)]
    assert labels(named(answers(looks, 0.6), places(names, (-20, 10, 25)))) == names


def test_a_gap_is_seen_where_the_network_is_torn() -> None:
    names = [f"1{n}" for n in (1, 2, 3, 4, 6, 7)]
    scores = answers(names, 0.8)
    for n in (4, 5):  # 16 or 15, 17 or 16
        scores[n] = answers([names[n]], 0.5)
        scores[n, NAMES.index(f"1{names[n][1]}") - 1] = 0.5
    assert labels(named(scores, places(names))) == names


def test_an_extra_tooth_has_no_number() -> None:
    positions = np.concatenate([places(PERMANENT), [(place("11") + place("21")) / 2 + (0.5, -5, 4)]])
    looks = [*PERMANENT, "11"]
    scores = answers(looks, 0.9)
    scores[-1] = answers(["11"], 0.6)
    found = named(scores, positions)
    assert labels(found) == [*PERMANENT, None]
    assert found[-1].flags == ("extra tooth",)


def test_an_ectopic_canine_keeps_its_number_and_is_flagged() -> None:
    positions = places(PERMANENT)
    positions[PERMANENT.index("13")] = np.add(place("11"), (-1, -4, 10))
    found = named(answers(PERMANENT, 0.95), positions)
    assert labels(found) == list(PERMANENT)
    assert [(one.label, one.flags) for one in found if one.flags] == [("13", ("out of order",))]


def test_a_number_of_the_other_side_is_no_ectopic_tooth() -> None:
    names = [name for name in PERMANENT if name != "26"]
    scores = answers(names, 0.95)
    scores[names.index("16")] = answers(["26"], 0.999)
    found = named(scores, places(names))[names.index("16")]
    assert found.label in ("16", None)


def test_a_torn_tooth_is_kept_and_its_numbers_are_told() -> None:
    names = ["11", "12", "14", "17"]
    positions = places(names)
    positions[2] = (place("14") + place("15")) / 2
    scores = answers(names, 0.9)
    scores[2] = 0.001
    scores[2, [NAMES.index("14"), NAMES.index("15")]] = 0.45, 0.46
    found = names_along_arches(scores, NAMES, positions, ARCHES, 0.9)
    assert found[2].label is None
    assert found[2].flags in (("number unsure: 14 or 15",), ("number unsure: 15 or 14",))
    assert [one.label for n, one in enumerate(found) if n != 2] == ["11", "12", "17"]


def test_a_single_tooth_is_what_the_network_says() -> None:
    (sure,) = named(answers(["36"], 0.95), places(["36"]))
    assert (sure.label, sure.flags) == ("36", ())
    torn = np.zeros((1, len(NAMES)))
    torn[0, [NAMES.index("16"), NAMES.index("46")]] = 0.4, 0.4
    (unsure,) = named(torn, places(["36"]))
    assert (unsure.label, unsure.flags) == (None, ("number unsure: 16 or 46",))


@pytest.mark.parametrize("value", [0.0, 1 / 52, 1.0])
@pytest.mark.parametrize("count", [1, 5, 32, 40])
def test_where_the_network_says_nothing_every_number_is_unsure(value: float, count: int) -> None:
    positions = np.concatenate([places(PERMANENT), np.add(places(PERMANENT)[:8], (0, 0, 5))])[:count]
    found = named(np.full((count, len(NAMES)), value), positions)
    assert labels(found) == [None] * count
    assert all(one.flags for one in found)


def test_objects_in_one_place_are_told_apart_or_flagged() -> None:
    found = named(answers(["11", "11", "12"], 0.9), np.zeros((3, 3)))
    assert sorted(one.label or "" for one in found) in (["", "11", "12"], ["", "", "12"])


def test_labels_outside_the_arches_are_no_teeth_of_theirs() -> None:
    names = (*NAMES, "implant")
    scores = np.column_stack([answers(["11", "12", "13"], 0.9), np.zeros(3)])
    scores[1] = 0.0
    scores[1, -1] = 1.0
    found = names_along_arches(scores, names, places(["11", "12", "13"]), ARCHES, THRESHOLD)
    assert labels(found) == ["11", None, "13"]


def test_an_arch_need_not_be_a_dentist_s() -> None:
    arches = (Arch(places=(("a",), ("b",), ("c",))),)
    positions = [(8.0, -2.0, 0.0), (0.0, 0.0, 0.0), (-8.0, -2.0, 0.0)]
    scores = [[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]
    assert labels(names_along_arches(scores, "abc", positions, arches, THRESHOLD)) == ["a", "b", "c"]


def test_nothing_found_has_no_names() -> None:
    assert names_along_arches([], NAMES, [], ARCHES, THRESHOLD) == []
    assert names_along_arches(np.zeros((0, 52)), NAMES, np.zeros((0, 3)), ARCHES, THRESHOLD) == []


def test_wrong_shapes_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="52 labels"):
        names_along_arches(np.ones((2, 3)), NAMES, np.zeros((2, 3)), ARCHES, THRESHOLD)
    with pytest.raises(ValueError, match="one row per object"):
        names_along_arches(answers(["11"]), NAMES, np.zeros((2, 3)), ARCHES, THRESHOLD)
    with pytest.raises(ValueError, match="finite"):
        names_along_arches(answers(["11"]) * np.nan, NAMES, np.zeros((1, 3)), ARCHES, THRESHOLD)
    with pytest.raises(ValueError, match="99"):
        names_along_arches(answers(["11"]), NAMES, np.zeros((1, 3)), [Arch(places=(("99",),))], THRESHOLD)
