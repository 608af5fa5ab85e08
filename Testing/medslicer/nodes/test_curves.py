"""The curve along a chain of landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.findings import Landmark
from medinfer.volume import Volume
from medslicer.export.saving import save_markups
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.curves import add_curve
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.volumes import add_volume


def on_circle(radius: float, count: int) -> tuple[Landmark, ...]:
    """A quarter of a circle in the sagittal plane, head first."""
    angles = np.linspace(0, np.pi / 2, count)
    places = np.stack([np.full(count, 3.0), radius * np.sin(angles), radius * np.cos(angles)], axis=1)
    return tuple(Landmark(str(n), (r, a, s), 0.9) for n, (r, a, s) in enumerate(places.tolist()))


def test_the_curve_goes_through_the_points_in_order_and_past_missing_and_flagged_ones(
    scene: Any, volume: Volume, landmarks: tuple[Landmark, ...]
) -> None:
    curve = add_curve(scene, landmarks, "Spine", add_volume(scene, volume))
    assert curve is not None
    through = [curve.GetNthControlPointLabel(n) for n in range(curve.GetNumberOfControlPoints())]
    assert through == ["T12", "L1", "L4"]
    drawn = curve.GetCurvePointsWorld()
    points = np.array([drawn.GetPoint(n) for n in range(drawn.GetNumberOfPoints())])
    for landmark in landmarks:
        if landmark.label in through:
            assert np.linalg.norm(points - landmark.position_ras, axis=1).min() < 1e-3


def test_between_the_points_it_is_smooth_and_its_length_is_measured(scene: Any, volume: Volume) -> None:
    curve = add_curve(scene, on_circle(200, 9), "Spine", add_volume(scene, volume))
    assert curve is not None
    # The chords would be 0.16 % short.
    assert curve.GetMeasurement("length").GetValue() == pytest.approx(200 * np.pi / 2, rel=4e-4)


def test_with_fewer_than_two_points_there_is_no_curve(scene: Any, volume: Volume) -> None:
    volume_node = add_volume(scene, volume)
    assert add_curve(scene, on_circle(200, 1), "Spine", volume_node) is None
    assert nodes_of(scene, "vtkMRMLMarkupsCurveNode") == []


def test_a_markups_file_keeps_curve_and_length(scene: Any, volume: Volume, tmp_path: Path) -> None:
    curve = add_curve(scene, on_circle(150, 7), "Spine", add_volume(scene, volume))
    assert curve is not None
    save_markups([curve], tmp_path / "spine.mrk.json")
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "spine.mrk.json"))
        (read,) = nodes_of(other.scene, "vtkMRMLMarkupsCurveNode")
        assert read.GetName() == "Spine"
        assert read.GetLocked()
        assert read.GetCurveLengthWorld() == pytest.approx(curve.GetCurveLengthWorld(), abs=1e-6)
        assert read.GetMeasurement("length").GetEnabled()
