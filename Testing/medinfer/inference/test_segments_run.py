"""The whole line for segments on small real networks: a scan goes in, named objects on its own voxels come out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import peas
import pytest

from medinfer.command.label_names import renamed, schemes
from medinfer.errors import Cancelled, PackageError
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import load_package
from medinfer.orientation import reorient
from medinfer.volume import Grid, Volume

Make = Callable[..., Path]
TEETH = (*peas.UPPER, *peas.LOWER)
BALL_MM3 = 4 / 3 * np.pi * peas.RADIUS_MM**3


def find(folder: Path, volume: Volume, **options: Any) -> Findings:
    package = load_package(folder)
    with open_package(package, backend="onnxruntime", precision="float32", threads=1) as session:
        return run(volume, package, session, **options)


def centers(findings: Findings) -> dict[str, np.ndarray]:
    return {segment.label: np.array(segment.center_ras) for segment in findings.segments}


def on_whole_scan(findings: Findings, volume: Volume) -> Volume:
    assert findings.label_map is not None
    return findings.label_map.whole(volume)


def drawn(volume: Volume, names: tuple[str, ...] = TEETH) -> np.ndarray:
    """The value of the ball that each voxel's middle lies in."""
    world = volume.grid.to_ras(np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1))
    places = peas.pea_centers()
    inside = np.stack([
        peas.HEIGHTS[name] * (1 - ((world - places[name]) ** 2).sum(axis=-1) / peas.RADIUS_MM**2) for name in names
    ])
    values = np.array([int(name) for name in names])
    return np.where(inside.max(axis=0) > 5e-4, values[inside.argmax(axis=0)], 0)


def without(*stages: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for stage in stages:
            del manifest[stage]
        if "coarse" in stages:
            manifest["prepare"].pop("region", None)

    return change


def test_on_the_network_s_own_grid_every_voxel_is_right(peas_package: Make, peas_scan: Volume) -> None:
    findings = find(peas_package(), peas_scan)
    assert [segment.label for segment in findings.segments] == [*TEETH, peas.CANAL]
    assert [segment.value for segment in findings.segments] == [*map(int, TEETH), peas.CANAL_VALUE]
    found = on_whole_scan(findings, peas_scan).voxels
    truth = drawn(peas_scan)
    # 11 and 21 touch: where the middles of voxels lie in both, votes go one way or the other.
    assert np.count_nonzero(np.where(found == peas.CANAL_VALUE, 0, found) != truth) <= 4
    # The network's tube is a voxel thicker all round, and keeps out of the balls.
    tube = peas_scan.voxels == -3000
    thick = np.stack([np.roll(tube, step, (0, 1, 2)) for step in product((-1, 0, 1), repeat=3)]).any(axis=0)
    np.testing.assert_array_equal(found == peas.CANAL_VALUE, thick & (truth == 0))
    assert (thick & (truth > 0)).any()
    assert findings.notes == ()
    assert all(segment.flags == () and 0.8 < segment.confidence <= 1 for segment in findings.segments)


# mm along k, j, i: finer, coarser, anisotropic in each direction; and how far a centre and a volume may be off: voxels
# of the scan are whole, and a scan interpolated linearly before the network looks at it is lower in its balls.
@pytest.mark.parametrize(
    ("spacing", "center_mm", "volume"),
    [((1, 1, 1), 0.1, 0.05), ((0.5, 0.6, 0.7), 0.1, 0.1), ((0.4, 0.4, 2), 0.3, 0.06), ((2, 0.5, 0.5), 0.3, 0.08),
     ((1.3, 1.1, 0.9), 0.2, 0.2)],
)
def test_names_centres_volumes_and_lengths_at_any_spacing(
    peas_package: Make, spacing: Any, center_mm: float, volume: float
) -> None:
    scan = peas.draw_peas(peas.pea_grid(spacing))
    findings = find(peas_package(), scan)
    labels = on_whole_scan(findings, scan)
    assert labels.shape == scan.shape
    assert list(centers(findings)) == [*TEETH, peas.CANAL]
    places = peas.pea_centers()
    for segment in findings.segments[:-1]:
        assert np.linalg.norm(np.array(segment.center_ras) - places[segment.label]) < center_mm, segment
        assert abs(segment.volume_mm3 / BALL_MM3 - 1) < volume, segment
        # Across a ball, with up to a whole voxel's diagonal at the ends.
        assert abs(segment.length_mm - 2 * peas.RADIUS_MM) <= np.linalg.norm(spacing), segment
        where = np.argwhere(labels.voxels == segment.value)
        np.testing.assert_allclose(segment.center_ras, scan.grid.to_ras(where.mean(axis=0)), atol=1e-6)
        np.testing.assert_allclose(segment.volume_mm3, len(where) * np.prod(spacing))


def test_a_scan_coarser_than_the_network_s_grid_has_the_same_objects(peas_package: Make) -> None:
    """Interpolated, the balls are lower: their surface stays, but these networks would name them for lower ones."""
    scan = peas.draw_peas(peas.pea_grid((1.5, 1.5, 1.5)))
    findings = find(peas_package(without("naming", "besides")), scan)
    found = np.array([segment.center_ras for segment in findings.segments])
    for place in peas.pea_centers().values():
        nearest = np.linalg.norm(found - place, axis=1).argmin()
        assert np.linalg.norm(found[nearest] - place) < 0.4
        assert abs(findings.segments[nearest].volume_mm3 / BALL_MM3 - 1) < 0.25
    assert findings.found == 12


@pytest.mark.parametrize("left_handed", [False, True])
def test_an_oblique_scan_has_the_same_teeth(peas_package: Make, left_handed: bool) -> None:
    a, b = 0.3, -0.2
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_a = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turned = about_s @ about_a @ np.diag([-1, -1, -1 if left_handed else 1])
    scan = peas.draw_peas(peas.pea_grid((0.9, 1, 0.8), turned))
    found = centers(find(peas_package(), scan))
    assert list(found) == [*TEETH, peas.CANAL]
    for name, place in peas.pea_centers().items():
        assert np.linalg.norm(found[name] - place) < 0.2, name


def stored(volume: Volume, axes: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    """The same patient with the array's axes in another order and direction."""
    voxels, columns = volume.voxels.transpose(axes), [2 - axis for axis in axes][::-1]
    matrix = volume.grid.ijk_to_ras[:, [*columns, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, axis)
            matrix[:, 3] += matrix[:, 2 - axis] * (voxels.shape[axis] - 1)
            matrix[:, 2 - axis] *= -1
    k, j, i = voxels.shape
    return Volume(np.ascontiguousarray(voxels), Grid((k, j, i), matrix), volume.name)


def test_all_48_ways_to_store_a_scan_give_the_same_teeth_in_the_world(peas_package: Make) -> None:
    scan = peas.draw_peas(peas.pea_grid((1.1, 0.9, 0.8)))
    package = load_package(peas_package())
    with open_package(package, backend="onnxruntime", precision="float32", threads=1) as session:
        first = run(scan, package, session)
        expected = on_whole_scan(first, scan).voxels
        for axes, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
            other = stored(scan, axes, flips)
            findings = run(other, package, session)
            back = reorient(on_whole_scan(findings, other), "LPS")
            np.testing.assert_array_equal(back.voxels, expected)
            np.testing.assert_allclose(back.grid.ijk_to_ras, scan.grid.ijk_to_ras, atol=1e-9)
            for one, two in zip(first.segments, findings.segments, strict=True):
                assert (one.label, one.value, one.flags) == (two.label, two.value, two.flags)
                np.testing.assert_allclose(one.center_ras, two.center_ras, atol=1e-6)
                np.testing.assert_allclose(one.volume_mm3, two.volume_mm3)
                np.testing.assert_allclose([one.length_mm, one.confidence], [two.length_mm, two.confidence], atol=1e-5)


def test_a_mirrored_patient_has_mirrored_centres_and_names(peas_package: Make) -> None:
    """Left and right exchanged in the voxels: the balls look as before, so each keeps its looks but not its side."""
    scan = peas.draw_peas(peas.pea_grid())
    mirror = Volume(np.ascontiguousarray(scan.voxels[:, :, ::-1]), scan.grid, "mirror")
    folder = peas_package(without("naming"))
    there = {tuple(np.round(segment.center_ras, 4)) for segment in find(folder, mirror).segments}
    here = [segment.center_ras for segment in find(folder, scan).segments]
    assert there == {tuple(np.round([-r, a, s], 4)) for r, a, s in here}


def test_a_ball_on_the_border_of_tiles_is_one(peas_package: Make, peas_scan: Volume) -> None:
    """Tiles whose borders run through every ball give, voxel by voxel, what one tile gives."""

    def tiled(patch: list[int]) -> Callable[[dict[str, Any]], None]:
        return lambda manifest: manifest["tiling"].update(patch=patch)

    one = find(peas_package(tiled([64, 64, 64])), peas_scan)
    many = find(peas_package(tiled([9, 9, 9])), peas_scan)
    assert many.run["tiles"] > one.run["tiles"] + 50
    np.testing.assert_array_equal(on_whole_scan(one, peas_scan).voxels, on_whole_scan(many, peas_scan).voxels)
    assert [segment.volume_mm3 for segment in one.segments] == [segment.volume_mm3 for segment in many.segments]


def test_a_second_tooth_of_a_number_keeps_a_value_of_its_own_and_is_flagged(peas_package: Make) -> None:
    places = {**peas.pea_centers(), "extra": np.array([-3.4, -9.0, 6.0])}
    scan = peas.draw_peas(peas.pea_grid(), places, {**peas.HEIGHTS, "extra": peas.HEIGHTS["11"]})
    findings = find(peas_package(), scan)
    (extra,) = [segment for segment in findings.segments if segment.label == "tooth"]
    assert findings.segments[-1] is extra
    assert extra.value > max(peas.CANAL_VALUE, *map(int, TEETH))
    assert extra.flags
    assert np.linalg.norm(np.array(extra.center_ras) - places["extra"]) < 0.2
    assert [segment.label for segment in findings.segments[:-1]] == [*TEETH, peas.CANAL]


def test_without_a_naming_stage_all_are_objects_of_different_values(peas_package: Make, peas_scan: Volume) -> None:
    findings = find(peas_package(without("naming", "besides")), peas_scan)
    assert [segment.label for segment in findings.segments] == ["tooth"] * 12
    assert len({segment.value for segment in findings.segments}) == 12


def test_instances_alone_without_a_coarse_stage(peas_package: Make, peas_scan: Volume) -> None:
    """The document's T2 as a package: the same voxels as with the region of the coarse stage's points."""
    whole = find(peas_package(without("coarse", "naming", "besides")), peas_scan)
    part = find(peas_package(without("naming", "besides")), peas_scan)
    assert on_whole_scan(whole, peas_scan).voxels.astype(bool).tolist() == \
        on_whole_scan(part, peas_scan).voxels.astype(bool).tolist()
    assert whole.found == part.found == 12


def test_the_canal_alone(peas_package: Make, peas_scan: Volume) -> None:
    """The document's T5 as a package."""

    def change(manifest: dict[str, Any]) -> None:
        without("coarse", "naming")(manifest)
        manifest.update(manifest.pop("besides")[0])

    findings = find(peas_package(change), peas_scan)
    (canal,) = findings.segments
    assert (canal.label, canal.value, canal.confidence) == (peas.CANAL, peas.CANAL_VALUE, 1.0)
    ends = peas.TUBE.mean(axis=0)
    # The tube's cross-section is a few voxels of 1 mm.
    np.testing.assert_allclose(canal.center_ras, ends, atol=0.3)
    # From end to end, with round ends of 1.2 mm that cover the last voxel's middle, and a voxel more all round.
    assert abs(canal.length_mm - (26 + 2 + 2 + 1)) <= 1


def landmarks(manifest: dict[str, Any]) -> None:
    """Coarse points and a name each: T1 and T3 of the documents."""
    without("besides")(manifest)
    manifest.update(manifest.pop("naming"))
    manifest["task"] = "landmark"


def test_points_and_names_alone(peas_package: Make, peas_scan: Volume) -> None:
    findings = find(peas_package(landmarks), peas_scan)
    found = {entry.label: entry for entry in findings.landmarks}
    assert set(found) == set(TEETH)
    for name, place in peas.pea_centers().items():
        # Half a voxel of the coarse stage.
        assert np.linalg.norm(np.array(found[name].position_ras) - place) < 1, name
        assert found[name].flags == ()
    assert (findings.segments, findings.label_map) == ((), None)


def test_names_without_an_arch_are_each_object_s_own(peas_package: Make) -> None:
    def change(manifest: dict[str, Any]) -> None:
        landmarks(manifest)
        del manifest["decoder"]["arches"]

    places = {"21": np.array([9.6, -5.9, 6.0]), "12": np.array([-3.4, 0, 6.0]), "copy": np.array([-3.4, 0.0, -6.0])}
    scan = peas.draw_peas(peas.pea_grid(), places, {**peas.HEIGHTS, "copy": peas.HEIGHTS["12"] * 1.01})
    found = {entry.label: entry for entry in find(peas_package(change), scan).landmarks}
    assert set(found) == {"21", "12", "tooth"}
    assert found["tooth"].flags == ("name unsure: 12",)
    assert np.linalg.norm(np.array(found["21"].position_ras) - places["21"]) < 1


def test_points_alone(peas_package: Make, peas_scan: Volume) -> None:
    """The document's T1 as a package: one label, any number of points."""

    def change(manifest: dict[str, Any]) -> None:
        without("naming", "besides")(manifest)
        manifest.update(manifest.pop("coarse"))
        manifest.update(task="landmark", labels=[{"value": 1, "name": "Tooth"}])

    findings = find(peas_package(change), peas_scan)
    assert [entry.label for entry in findings.landmarks] == ["Tooth"] * 12
    found = np.array([entry.position_ras for entry in findings.landmarks])
    for place in peas.pea_centers().values():
        assert np.linalg.norm(found - place, axis=1).min() < 1


def test_nothing_found_is_a_note_and_no_label_map(peas_package: Make, peas_scan: Volume) -> None:
    air = peas_scan.with_voxels(np.full(peas_scan.shape, -1000, np.int16))
    findings = find(peas_package(), air)
    assert (findings.segments, findings.label_map) == ((), None)
    assert "nothing was found" in findings.notes[-1]


def test_a_higher_foreground_takes_off_the_rim(peas_package: Make, peas_scan: Volume) -> None:
    """A foreground of sigmoid(20 a (1 − r²/R²)) above 0.95 is a smaller ball: exactly the voxels of that."""

    def change(manifest: dict[str, Any]) -> None:
        without("naming", "besides")(manifest)
        manifest["decoder"]["foreground"] = 0.95

    found = on_whole_scan(find(peas_package(change), peas_scan), peas_scan).voxels > 0
    kept = peas_scan.voxels / 1000 > np.log(0.95 / 0.05) / 20
    np.testing.assert_array_equal(found, kept)


def test_a_threshold_drops_the_objects_below_it(peas_package: Make, peas_scan: Volume) -> None:
    folder = peas_package(without("naming", "besides"))
    everything = find(folder, peas_scan)
    sure = sorted(segment.confidence for segment in everything.segments)
    between = (sure[1] + sure[2]) / 2
    findings = find(folder, peas_scan, threshold=between)
    assert sorted(segment.confidence for segment in findings.segments) == sure[2:]
    assert findings.run["threshold"] == between


def test_cancelling_stops_it(peas_package: Make, peas_scan: Volume) -> None:
    told: list[str] = []
    with pytest.raises(Cancelled):
        find(peas_package(), peas_scan, progress=lambda stage, done, total: told.append(stage),
             cancel=lambda: "naming network" in told)
    assert told[-1] == "naming network"


def test_every_stage_is_told_and_timed(peas_package: Make, peas_scan: Volume) -> None:
    told: list[str] = []
    findings = find(peas_package(), peas_scan, progress=lambda stage, done, total: told.append(stage))
    stages = [
        "coarse prepare", "coarse network", "coarse findings", "main prepare", "main network", "main findings",
        "naming prepare", "naming network", "naming names", "besides 1 prepare", "besides 1 network",
        "besides 1 findings", "naming borders", "besides 1 borders", "measures",
    ]
    assert list(dict.fromkeys(told)) == stages
    assert list(findings.run["seconds"]) == stages


def test_borders_are_refined_on_the_scan_s_own_values(peas_package: Make, peas_scan: Volume) -> None:
    """A refinement that drops voxels below a value sees exactly those of the scan."""

    def bright(values: np.ndarray, labels: np.ndarray, spacing: Any) -> np.ndarray:
        assert (values.shape, values.dtype, labels.dtype) == (labels.shape, np.float32, np.uint8)
        return np.where(values > 300, labels, 0).astype(np.uint8)

    folder = peas_package(without("besides"))
    plain = on_whole_scan(find(folder, peas_scan), peas_scan).voxels
    refined = on_whole_scan(find(folder, peas_scan, refine=bright), peas_scan).voxels
    np.testing.assert_array_equal(refined, np.where(peas_scan.voxels > 300, plain, 0))


def test_percentiles_make_any_scale_of_grey_values_alike(peas_package: Make, peas_scan: Volume) -> None:
    """8-bit values, and the same ones times 100 and shifted, give the same voxels."""

    def change(manifest: dict[str, Any]) -> None:
        without("naming", "besides")(manifest)
        for stage in (manifest, manifest["coarse"]):
            # The air, by far the most, is −1 again; the brightest 1.67 or so.
            stage["prepare"]["intensity"] = [
                {"op": "percentiles", "low": 1, "high": 100}, {"op": "scale", "subtract": 0.375, "divide": 0.375}
            ]

    folder = peas_package(change)
    grey = np.clip(np.rint((peas_scan.voxels + 1000) / 15), 0, 255).astype(np.uint8)
    one, two = (
        on_whole_scan(find(folder, peas_scan.with_voxels(voxels)), peas_scan).voxels
        for voxels in (grey, grey.astype(np.int16) * 100 - 5000)
    )
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(one)) == 13


def test_findings_survive_json_and_come_as_a_table(peas_package: Make, peas_scan: Volume) -> None:
    folder = peas_package()
    findings, manifest = find(folder, peas_scan), load_package(folder).manifest
    back = Findings.from_json(findings.to_json())
    assert (back.segments, back.notes, back.run) == (findings.segments, findings.notes, findings.run)
    assert back.label_map is None
    rows = list(csv.DictReader(io.StringIO(
        findings.segments_csv({label.name: label.names for label in manifest.labels})
    )))
    assert [row["label"] for row in rows] == [*TEETH, peas.CANAL]
    assert [row["Universal"] for row in rows] == [*(peas.UNIVERSAL[name] for name in TEETH), ""]
    for row, segment in zip(rows, findings.segments, strict=True):
        assert float(row["volume_mm3"]) == pytest.approx(segment.volume_mm3, abs=0.05)
        assert float(row["length_mm"]) == pytest.approx(segment.length_mm, abs=0.005)
        assert [float(row[f"{axis}_mm"]) for axis in "ras"] == pytest.approx(segment.center_ras, abs=5e-4)
        assert (int(row["value"]), row["flags"]) == (segment.value, "")


def test_names_of_another_scheme_are_for_all_that_have_one(peas_package: Make, peas_scan: Volume) -> None:
    folder = peas_package()
    findings, manifest = find(folder, peas_scan), load_package(folder).manifest
    assert schemes(manifest) == ["FDI", "Universal", "anatomical"]
    other, words = renamed(findings, manifest, "universal")
    assert [segment.label for segment in other.segments] == [*(peas.UNIVERSAL[name] for name in TEETH), peas.CANAL]
    assert [segment.value for segment in other.segments] == [segment.value for segment in findings.segments]
    assert [label.name for label in words.labels] == [*peas.UNIVERSAL.values(), peas.CANAL]
    with pytest.raises(PackageError, match="no label names in the scheme 'Palmer'; it has FDI, Universal, anatomical"):
        renamed(findings, manifest, "Palmer")


def test_scores_with_a_place_are_refused_in_a_sentence(peas_package: Make, peas_scan: Volume) -> None:
    """A network that keeps the patch's voxels is no classifier of it."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["naming"]["network"] = {**manifest["network"], "output": ["seg"] * 13, "channels": 13}

    with pytest.raises(PackageError, match="for each of the 13 labels"):
        find(peas_package(change), peas_scan)
