"""Passes that build on each other, on networks whose right answer plain numpy gives as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from voxelwise import one_pass, shifted, voxelwise, write_package

from medinfer.errors import PackageError
from medinfer.findings import Findings
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import load_package
from medinfer.volume import Grid, Volume

# Values of the scan: nothing, an organ, and spots.
ORGAN, SPOT = 1.0, 3.0
SPACING = (1.5, 0.8, 1.1)


@pytest.fixture(params=[False, True], ids=["upright", "turned"])
def scan(request: pytest.FixtureRequest) -> Volume:
    """A block of an organ with spots in it, at its border, and outside; upright, or stored oblique and mirrored."""
    voxels = np.zeros((20, 24, 28), np.float32)
    voxels[6:14, 7:19, 5:20] = ORGAN
    for spot in ((8, 9, 7), (13, 18, 19), (5, 10, 9), (14, 19, 20), (2, 2, 2), (17, 4, 25), (4, 7, 5)):
        voxels[spot] = SPOT
    voxels[9:11, 12:14, 10:13] = SPOT
    directions = np.diag([1.0, 1.0, 1.0])
    if request.param:
        turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
        # Within 20° of the axes, one of them mirrored.
        directions = np.linalg.qr(np.diag([1.0, -1.0, 1.0]) + 0.2 * turn)[0]
        directions *= np.sign(np.diag(directions)) * (1, -1, 1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * SPACING[::-1], (10.0, -20.0, 30.0)
    return Volume(voxels, Grid(voxels.shape, matrix), "organ")


def find(folder: Path, volume: Volume) -> Findings:
    package = load_package(folder)
    with open_package(package, backend="onnxruntime", precision="float32", threads=1) as session:
        return run(volume, package, session)


IS_ORGAN = voxelwise([[1]], [-0.5])
IS_SPOT = voxelwise([[1]], [-2])
# Background, organ, spot.
CLASSES = voxelwise([[-1], [1], [2]], [0.5, 0, -2.5], steps=False)
BY_SCORES = {"kind": "segments", "activation": "softmax"}


def classes_by_numpy(voxels: np.ndarray) -> np.ndarray:
    return np.stack([0.5 - voxels, voxels, 2 * voxels - 2.5]).argmax(axis=0)


def indices(volume: Volume, places: Any) -> np.ndarray:
    return np.array([volume.grid.to_index(place) for place in places])


@pytest.mark.parametrize("margin_mm", [0.0, 1.0, 1.7, 4.0])
def test_the_box_of_a_mask_is_where_a_second_network_looks(scan: Volume, tmp_path: Path, margin_mm: float) -> None:
    region = {"kind": "found", "of": "organ", "margin_mm": margin_mm}
    networks = {"organ": IS_ORGAN, "spots": IS_SPOT}
    folder = write_package(tmp_path / "package", networks, [
        one_pass("organ", IS_ORGAN, {"kind": "segments", "min_volume_mm3": 20}, labels=["organ"]),
        one_pass("spots", IS_SPOT, {"kind": "labels", "connectivity": 6}, labels=["spot"], region=region),
    ], task="detect", result=[{"of": "spots", "as": "boxes"}], labels=["organ", "spot"])
    # By numpy: the organ and the spots that touch it, without the specks; a box of whole voxels, wider by the margin.
    mask, count = ndimage.label(scan.voxels > 0.5, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask > 0, mask, range(1, count + 1)) * np.prod(SPACING)
    where = np.argwhere(np.isin(mask, 1 + np.flatnonzero(sizes >= 20)))
    low = np.ceil(where.min(axis=0) - 0.5 - margin_mm / np.array(SPACING) - 1e-4).astype(int)
    high = np.floor(where.max(axis=0) + 0.5 + margin_mm / np.array(SPACING) + 1e-4).astype(int) + 1
    box = tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))
    spots, count = ndimage.label(scan.voxels[box] > 2)
    centers = [
        [(part.start + part.stop - 1) / 2 + side.start for part, side in zip(found, box, strict=True)]
        for found in ndimage.find_objects(spots)
    ]
    found = indices(scan, [entry.center_ras for entry in find(folder, scan).boxes])
    assert len(found) == count
    wanted = np.array(centers)
    np.testing.assert_allclose(found[np.lexsort(found.round(3).T)], wanted[np.lexsort(wanted.T)], atol=1e-6)


def test_labels_of_one_network_are_channels_of_the_next(scan: Volume, tmp_path: Path) -> None:
    """The second network calls “rim” what is organ by the first one's label and neither bright nor far to the right."""
    # Channels: the image, spot, organ (in the order that is asked for).
    rim = voxelwise([[0.1, -5, 1]], [-0.5])
    folder = write_package(tmp_path / "package", {"classes": CLASSES, "rim": rim}, [
        one_pass("classes", CLASSES, BY_SCORES, labels=["organ", "spot"]),
        one_pass("rim", rim, {"kind": "segments"}, labels=["rim"],
                 fed=[{"role": "labels", "of": "classes", "labels": ["spot", "organ"]}]),
    ], task="segment", result=[{"of": "rim", "as": "objects"}], labels=["organ", "spot", "rim"])
    labels = classes_by_numpy(scan.voxels)
    expected = 0.1 * scan.voxels - 5 * (labels == 2) + 1.0 * (labels == 1) > 0.5
    findings = find(folder, scan)
    assert [segment.label for segment in findings.segments] == ["rim"]
    np.testing.assert_array_equal(findings.label_map.whole(scan).voxels, np.where(expected, 3, 0))


def test_a_coarser_networks_labels_are_taken_from_the_nearest_voxel(scan: Volume, tmp_path: Path) -> None:
    """The first network sees every other voxel, from the first on."""
    first = one_pass("organ", IS_ORGAN, {"kind": "segments"}, labels=["organ"])
    first["prepare"]["spacing"] = [2 * mm for mm in SPACING]
    only = voxelwise([[0, 1]], [-0.5])
    folder = write_package(tmp_path / "package", {"organ": IS_ORGAN, "copy": only}, [
        first, one_pass("copy", only, {"kind": "segments"}, labels=["copy"], fed=[{"role": "labels", "of": "organ"}]),
    ], task="segment", result=[{"of": "copy", "as": "objects"}], labels=["organ", "copy"])
    upright = scan.voxels if np.linalg.det(scan.grid.directions) > 0 else scan.voxels[:, ::-1]
    coarse = upright[::2, ::2, ::2] > 0.5
    near = [np.minimum(np.floor(np.arange(n) / 2 + 0.5).astype(int), -(-n // 2)) for n in upright.shape]
    padded = np.pad(coarse, [(0, 1)] * 3)
    expected = padded[np.ix_(*near)]
    expected = expected if np.linalg.det(scan.grid.directions) > 0 else expected[:, ::-1]
    findings = find(folder, scan)
    np.testing.assert_array_equal(findings.label_map.whole(scan).voxels, np.where(expected, 2, 0))


def test_landmarks_are_the_centroids_of_a_label_networks_objects(scan: Volume, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package", {"classes": CLASSES}, [
        one_pass("classes", CLASSES, BY_SCORES, labels=["organ", "spot"]),
    ], task="landmark", result=[{"of": "classes", "as": "points"}], labels=["spot", "organ"])
    labels = classes_by_numpy(scan.voxels)
    landmarks = {landmark.label: landmark for landmark in find(folder, scan).landmarks}
    assert set(landmarks) == {"spot", "organ"}
    for name, value in (("organ", 1), ("spot", 2)):
        np.testing.assert_allclose(
            scan.grid.to_index(landmarks[name].position_ras), np.argwhere(labels == value).mean(axis=0), atol=1e-6
        )


def test_a_label_that_is_not_there_is_a_missing_landmark(scan: Volume, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package", {"classes": CLASSES}, [
        one_pass("classes", CLASSES, BY_SCORES),
    ], task="landmark", result=[{"of": "classes", "as": "points"}], labels=["organ", "spot"])
    empty = scan.with_voxels(np.minimum(scan.voxels, ORGAN))
    organ, spot = find(folder, empty).landmarks
    assert (organ.status, spot.status) == ("found", "missing")


def test_boxes_are_those_of_a_label_networks_objects(scan: Volume, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package", {"classes": CLASSES}, [
        one_pass("classes", CLASSES, BY_SCORES),
    ], task="detect", result=[{"of": "classes", "as": "boxes"}], labels=["organ", "spot"])
    labels = classes_by_numpy(scan.voxels)
    boxes = {box.label: box for box in find(folder, scan).boxes}
    for name, value in (("organ", 1), ("spot", 2)):
        where = np.argwhere(labels == value)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        np.testing.assert_allclose(scan.grid.to_index(boxes[name].center_ras), (low + high - 1) / 2, atol=1e-6)
        np.testing.assert_allclose(boxes[name].size_mm[::-1], (high - low) * SPACING, atol=1e-6)
        volume = len(where) * np.prod(SPACING)
        assert boxes[name].diameter_mm == pytest.approx((6 * volume / np.pi) ** (1 / 3))


def test_a_gaussian_at_a_landmark_is_a_channel_of_the_next(scan: Volume, tmp_path: Path) -> None:
    """The second network gives back the Gaussian alone: where it is highest is where the first one's point was."""
    gaussian = voxelwise([[0, 0, 1]], [0], steps=False)
    folder = write_package(tmp_path / "package", {"classes": CLASSES, "again": gaussian}, [
        one_pass("classes", CLASSES, BY_SCORES, labels=["organ", "spot"], gives="points"),
        one_pass("again", gaussian, {"kind": "heatmap"}, labels=["place"],
                 fed=[{"role": "landmarks", "of": "classes", "labels": ["spot", "organ"], "sigma": 2.5}]),
    ], task="landmark", result=[{"of": "again", "as": "points"}], labels=["organ", "spot", "place"])
    expected = np.argwhere(classes_by_numpy(scan.voxels) == 1).mean(axis=0)
    (place,) = find(folder, scan).landmarks
    np.testing.assert_allclose(scan.grid.to_index(place.position_ras), expected, atol=1e-3)


def test_an_object_is_segmented_in_a_patch_around_each_point(scan: Volume, tmp_path: Path) -> None:
    """Of the organ alone, though spots elsewhere are as bright; cut where the patch ends."""
    around = one_pass("around", IS_ORGAN, {"kind": "segments"}, labels=["organ"],
                      region={"kind": "found", "of": "classes", "labels": ["organ"]})
    around["tiling"] = {"join": "patches", "patch": [11, 13, 15], "pad": 0}
    around["prepare"]["spacing"] = list(SPACING)
    folder = write_package(tmp_path / "package", {"classes": CLASSES, "around": IS_ORGAN}, [
        one_pass("classes", CLASSES, BY_SCORES), around,
    ], task="segment", result=[{"of": "around", "as": "objects"}], labels=["organ", "spot"])
    middle = np.rint(np.argwhere(classes_by_numpy(scan.voxels) == 1).mean(axis=0)).astype(int)
    inside = np.zeros(scan.shape, bool)
    half = np.array([11, 13, 15]) // 2
    inside[tuple(slice(max(m - h, 0), m + h + 1) for m, h in zip(middle, half, strict=True))] = True
    parts, _ = ndimage.label((scan.voxels > 0.5) & inside, np.ones((3, 3, 3)))
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    findings = find(folder, scan)
    np.testing.assert_array_equal(findings.label_map.whole(scan).voxels, parts == largest)


def test_where_the_first_pass_finds_nothing_the_second_has_nothing_to_look_at(scan: Volume, tmp_path: Path) -> None:
    region = {"kind": "found", "of": "organ"}
    folder = write_package(tmp_path / "package", {"organ": IS_ORGAN, "spots": IS_SPOT}, [
        one_pass("organ", IS_ORGAN, {"kind": "segments"}, labels=["organ"]),
        one_pass("spots", IS_SPOT, {"kind": "segments"}, labels=["spot"], region=region),
    ], task="segment", result=[{"of": "spots", "as": "objects"}], labels=["organ", "spot"])
    findings = find(folder, scan.with_voxels(np.zeros(scan.shape, np.float32)))
    assert findings.segments == ()
    assert "nothing was found" in findings.notes[-1]


def test_a_network_that_wants_a_channel_that_is_not_fed_is_one_sentence(scan: Volume, tmp_path: Path) -> None:
    two = voxelwise([[1, 1]], [-0.5])
    folder = write_package(tmp_path / "package", {"two": two}, [
        one_pass("two", two, {"kind": "segments"}),
    ], task="segment", result=[{"of": "two", "as": "objects"}], labels=["organ"])
    with pytest.raises(PackageError, match=r"two\.onnx takes .*×2×.* correct .*network\.inputs in model\.json"):
        find(folder, scan)


def test_a_channel_stays_where_its_landmark_was_not_found(scan: Volume, tmp_path: Path) -> None:
    """The second network wants a channel per label, and gives back that of the spot: 0 all over where there is none."""
    spot = voxelwise([[0, 0, 1]], [0], steps=False)
    folder = write_package(tmp_path / "package", {"classes": CLASSES, "again": spot}, [
        one_pass("classes", CLASSES, BY_SCORES, labels=["organ", "spot"], gives="boxes"),
        one_pass("again", spot, {"kind": "heatmap"}, labels=["place"], fed=[{"role": "landmarks", "of": "classes"}]),
    ], task="landmark", result=[{"of": "again", "as": "points"}], labels=["organ", "spot", "place"])
    (place,) = find(folder, scan.with_voxels(np.minimum(scan.voxels, ORGAN))).landmarks
    assert place.status == "missing"
    (place,) = find(folder, scan).landmarks
    where = np.argwhere(classes_by_numpy(scan.voxels) == 2)
    np.testing.assert_allclose(
        scan.grid.to_index(place.position_ras), (where.min(axis=0) + where.max(axis=0)) / 2, atol=1e-3
    )


@pytest.mark.parametrize("axes", ["xyz", "yzx"])
def test_a_network_with_other_axes_gives_the_same_in_the_same_place(
    scan: Volume, tmp_path: Path, axes: str
) -> None:
    """Networks that answer for the voxel two towards x, one back along y: where theirs lie, the kernel says."""
    kernel = np.zeros((3, 3, 5), np.float32)
    kernel[1, 0, 4] = 1
    order = ["zyx".index(axis) for axis in axes]
    found = []
    for name, weights in (("zyx", kernel), (axes, kernel.transpose(order))):
        network = shifted(weights)
        one = one_pass("spots", network, {"kind": "segments"}, labels=["spot"])
        one["prepare"]["axes"] = name
        one["tiling"] = {"join": "crop", "patch": [7, 8, 9], "margin": [2, 2, 2]}
        folder = write_package(
            tmp_path / name, {"spots": network}, [one], task="segment", result=[{"of": "spots", "as": "objects"}],
            labels=["spot"],
        )
        found.append(find(folder, scan).label_map.whole(scan).voxels)
    assert found[0].any()
    np.testing.assert_array_equal(*found)
