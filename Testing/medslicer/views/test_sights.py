"""Where the views are turned to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medinfer.findings import Findings, Landmark
from medinfer.volume import Volume
from medslicer.nodes.volumes import add_volume
from medslicer.results.results import add_findings
from medslicer.views.sights import (
    GRAZED,
    MARGIN_MM,
    NEAR_MM,
    Sights,
    meets_most,
    sights_of_boxes,
    sights_of_landmarks,
    sights_of_segments,
)
from medslicer.views.views import turn_views

# A spine that bends in both planes, one level far off, one missing. R, A, S.
SPINE = [(0, 0, 200), (2, 10, 160), (3, 14, 120), None, (4, 12, 40), (2, 4, 0), (60, -40, -40)]


def spine(scene: Any, volume: Volume) -> tuple[Any, Sights]:
    volume_node = add_volume(scene, volume)
    findings = Findings(landmarks=tuple(Landmark(str(n), place, 0.9) for n, place in enumerate(SPINE)))
    nodes = add_findings(scene, findings, volume_node, name="Landmarks", task="landmark")
    return volume_node, sights_of_landmarks(nodes.fiducials, volume_node)


def test_the_planes_pass_where_most_landmarks_are_nearest(scene: Any, volume: Volume) -> None:
    _, sights = spine(scene, volume)
    found = np.array([place for place in SPINE if place])

    def distances(axis: int, place: float) -> float:
        return float(np.abs(found[:, axis] - place).sum())

    for axis, sight in ((0, sights.sagittal), (1, sights.coronal)):
        best = min(distances(axis, place) for place in np.arange(-50, 70, 0.5))
        assert distances(axis, sight.centre_ras[axis]) == pytest.approx(best)


def test_all_landmarks_are_in_view_with_a_margin(scene: Any, volume: Volume) -> None:
    volume_node, sights = spine(scene, volume)
    turn_views(scene, volume_node, sights)
    for name, axes in (("Green", (0, 2)), ("Yellow", (1, 2))):
        slice_node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        centre = np.array([slice_node.GetSliceToRAS().GetElement(row, 3) for row in range(3)])
        half = min(slice_node.GetFieldOfView()[:2]) / 2
        for place in filter(None, SPINE):
            for axis in axes:
                assert abs(place[axis] - centre[axis]) <= half - MARGIN_MM + 1e-6


def test_axial_is_the_middle_one_of_those_found(scene: Any, volume: Volume) -> None:
    _, sights = spine(scene, volume)
    assert sights.axial.centre_ras == (4, 12, 40)
    assert sights.axial.field_of_view_mm == NEAR_MM


def test_without_a_finding_the_middle_of_the_scan_is_shown(scene: Any, volume: Volume) -> None:
    volume_node = add_volume(scene, volume)
    nodes = add_findings(scene, Findings(), volume_node, name="Landmarks", task="landmark")
    middle = volume.grid.to_ras((np.array(volume.shape) - 1) / 2)
    for sights in (sights_of_landmarks(nodes.fiducials, volume_node), sights_of_boxes((), volume_node)):
        assert sights.axial.centre_ras == pytest.approx(middle)


def test_a_view_that_is_wider_than_high_shows_at_least_the_field(scene: Any, volume: Volume) -> None:
    volume_node, sights = spine(scene, volume)
    turn_views(scene, volume_node, sights)
    slice_node = scene.GetSingletonNode("Green", "vtkMRMLSliceNode")
    slice_node.SetDimensions(1200, 400, 1)
    turn_views(scene, volume_node, sights)
    width, height, _ = slice_node.GetFieldOfView()
    assert height == pytest.approx(sights.coronal.field_of_view_mm)
    assert width == pytest.approx(3 * height)


def test_a_plane_through_segments_meets_as_many_as_any_other(scene: Any, any_jaw: Any) -> None:
    volume_node = add_volume(scene, any_jaw.volume)
    nodes = add_findings(scene, any_jaw.findings, volume_node, name="Teeth", task="segment", labels=any_jaw.labels)
    sights = sights_of_segments(nodes.segmentation, volume_node)
    voxels, grid = any_jaw.label_map.voxels, any_jaw.label_map.grid
    clouds = [grid.to_ras(np.argwhere(voxels == value)) for value in any_jaw.centers_ras]
    for axis, sight in ((2, sights.axial), (1, sights.coronal), (0, sights.sagittal)):
        low, high = (np.array([edge(cloud[:, axis]) for cloud in clouds]) for edge in (np.min, np.max))
        inset = GRAZED * (high - low)

        def met(place: float, low: Any = low + inset, high: Any = high - inset) -> int:
            return int(((low <= place) & (place <= high)).sum())

        assert met(sight.centre_ras[axis]) >= max(met(place) for place in np.linspace(low.min(), high.max(), 500)) - 1
        for other in {0, 1, 2} - {axis}:
            places = np.concatenate([cloud[:, other] for cloud in clouds])
            assert np.abs(places - sight.centre_ras[other]).max() < sight.field_of_view_mm / 2


def test_the_best_stretch_of_intervals_is_the_widest_of_those_that_meet_most() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        low = rng.uniform(0, 10, 7).round(1)
        high = low + rng.uniform(0, 4, 7).round(1)
        places = np.linspace(0, 14, 2801)
        met = [int(((low <= place) & (place <= high)).sum()) for place in places]
        best = meets_most(low, high)
        assert int(((low <= best) & (best <= high)).sum()) >= max(met) - 1
    assert meets_most(np.array([0.0, 2, 5]), np.array([4.0, 9, 6])) == 3.0
    assert meets_most(np.array([3.0]), np.array([3.0])) == 3.0
