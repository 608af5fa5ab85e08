"""Crowns that stand on titanium are told from teeth, in any grey values, whichever way the scan is stored."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from medinfer.anatomy.implants import on_implants
from medinfer.orientation import reorient
from medinfer.volume import Floats, Grid, Volume

SOFT, BONE, DENTINE, ENAMEL, TITANIUM = 50, 900, 1600, 2400, 4500
SPACING = 0.5
# Places of teeth along R; above and below 0 they belong to the upper and the lower jaw.
ACROSS = (-15.0, -7.5, 0.0, 7.5, 15.0)
UPPER, LOWER = 0, 1


def jaw_scan(implants: dict[tuple[int, float], str], jaws: tuple[int, ...] = (UPPER, LOWER)) -> tuple[Volume, Floats]:
    """Crowns of 6 mm over roots of 12 mm in bone, in both jaws; in place of some roots screws, those under
    "leaning" ones 20° off.

    Returns the scan and a map of teeth: 1 + the place's number, upper ones first, as a network marks them: with the
    root, or the crown alone on an implant; "together": the screw too.
    """
    shape = (110, 30, 80)
    matrix = np.diag([-SPACING, -SPACING, SPACING, 1.0])
    matrix[:3, 3] = 19.75, 7.25, -27.25
    grid = Grid(shape, matrix)
    r, a, s = np.moveaxis(grid.to_ras(np.stack(np.indices(shape), axis=-1)), -1, 0)
    values, teeth = np.full(shape, SOFT, np.int16), np.zeros(shape, np.uint8)
    values[(np.abs(s) > 8) & (np.abs(s) < 25)] = BONE
    for number, (jaw, across) in enumerate(product((UPPER, LOWER), ACROSS), start=1):
        if jaw not in jaws:
            continue
        deep = s if jaw == UPPER else -s
        kind = implants.get((jaw, across))
        lean = np.tan(np.radians(20 if kind == "leaning" else 0)) * (deep - 7)
        crown = (np.hypot(r - across, a) < 3.2) & (deep > 1) & (deep < 7)
        root = (np.hypot(r - across - lean, a) < (2.0 if kind else 2.4)) & (deep >= 7) & (deep < 19)
        values[crown], values[root] = (TITANIUM, TITANIUM) if kind else (ENAMEL, DENTINE)
        teeth[crown | root if kind in {None, "together"} else crown] = number
    return Volume(values, grid), teeth


def flagged(volume: Volume, teeth: Floats) -> list[int]:
    numbers = [int(number) for number in np.unique(teeth) if number]
    places = [volume.grid.to_ras(np.argwhere(teeth == number)) for number in numbers]
    jaws = [UPPER if number <= len(ACROSS) else LOWER for number in numbers]
    return [number for number, implant in zip(numbers, on_implants(volume, places, jaws), strict=True) if implant]


@pytest.mark.parametrize("kind", ["upright", "leaning", "together"])
def test_crowns_on_screws_are_told_from_teeth(kind: str) -> None:
    volume, teeth = jaw_scan({(UPPER, -7.5): kind, (LOWER, 15.0): kind})
    assert flagged(volume, teeth) == [2, 10]


def test_teeth_alone_are_not_flagged() -> None:
    assert flagged(*jaw_scan({})) == []


@pytest.mark.parametrize("jaw", [UPPER, LOWER])
def test_one_jaw_alone_is_enough(jaw: int) -> None:
    volume, teeth = jaw_scan({(jaw, 0.0): "upright"}, jaws=(jaw,))
    assert flagged(volume, teeth) == [3 + jaw * len(ACROSS)]


def test_a_metal_crown_on_a_root_and_one_opposite_are_not_flagged() -> None:
    volume, teeth = jaw_scan({})
    voxels = volume.voxels.copy()
    s = volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1))[..., 2]
    for number in (2, 7):
        # They meet: between the two crowns is metal only.
        voxels[(teeth == number) & (np.abs(s) < 7)] = TITANIUM
    assert flagged(volume.with_voxels(voxels), teeth) == []


@pytest.mark.parametrize(("scale", "shift"), [(0.06, 60.0), (1.0, 1024.0), (0.5, -800.0)])
def test_drifted_grey_values_change_nothing(scale: float, shift: float) -> None:
    volume, teeth = jaw_scan({(UPPER, -7.5): "upright"})
    assert flagged(volume.with_voxels((volume.voxels * scale + shift).astype(np.int16)), teeth) == [2]


def test_values_that_the_scanner_clipped_are_metal_still() -> None:
    volume, teeth = jaw_scan({(UPPER, -7.5): "upright"})
    assert flagged(volume.with_voxels(volume.voxels.clip(max=2600)), teeth) == [2]


@pytest.mark.parametrize("orientation", ["RAS", "PSL", "IRA"])
def test_the_way_a_scan_is_stored_changes_nothing(orientation: str) -> None:
    volume, teeth = jaw_scan({(UPPER, -7.5): "leaning"})
    turned = reorient(volume, orientation)
    assert flagged(turned, reorient(volume.with_voxels(teeth), orientation).voxels) == [2]


def test_no_teeth_are_no_implants() -> None:
    assert on_implants(jaw_scan({})[0], [], []) == []
