"""A landmark that is moved takes along what is derived from it: measures, curve, the distances in the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from results_user import DETAIL, ResultsUser

from medinfer.volume import Floats

UP = np.array([0.0, 0.0, 20.0])


def by_hand(user: ResultsUser, points: Any) -> None:
    """"chest" goes up by 20 mm."""
    place = np.array(points.GetNthControlPointPositionWorld(1)) + UP
    points.SetNthControlPointPositionWorld(1, *place)


def by_transform(user: ResultsUser, points: Any) -> None:
    """The list alone, and not its curve, is put under a transform that turns and moves."""
    import slicer

    matrix = np.array([[0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 20], [0, 0, 0, 1.0]])
    parent = user.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    points.SetAndObserveTransformNodeID(parent.GetID())
    slicer.util.updateTransformMatrixFromArray(parent, matrix)


def by_script_without_events(user: ResultsUser, points: Any) -> None:
    """A node that was moved while nobody was told, as within a batch."""
    before = points.StartModify()
    by_hand(user, points)
    points.EndModify(before)


def world(node: Any) -> Floats:
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])


@pytest.fixture
def measured(landmarks: ResultsUser) -> ResultsUser:
    from medslicer.results.measures import add_angle, add_distance

    (result,) = landmarks.results
    add_distance(result, 1, 2)
    add_angle(result, 1, 2, 3)
    landmarks.harness.process_events()
    return landmarks


@pytest.mark.parametrize("move", [by_hand, by_transform, by_script_without_events])
def test_everything_derived_follows_at_once(
    measured: ResultsUser, move: Callable[[ResultsUser, Any], None]
) -> None:
    (result,) = measured.results
    points, curve, (line, angle) = result.nodes.fiducials, result.nodes.curve, result.nodes.measures
    move(measured, points)
    places = world(points)[:3]
    np.testing.assert_allclose(world(line), places[:2], atol=1e-3)
    np.testing.assert_allclose(world(angle), places, atol=1e-3)
    np.testing.assert_allclose(world(curve), places, atol=1e-3)
    measured.harness.process_events()
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert measured.column(DETAIL)[:2] == [f"{step:.1f} mm" for step in steps]
    table = measured.ui("measuresTable")
    assert table.item(0, 1).text() == f"{steps[0]:.1f} mm"
    cells = result.table.GetTable()
    assert cells.GetColumnByName("to_next_mm").GetValue(0) == pytest.approx(steps[0], abs=1e-3)
    np.testing.assert_allclose(
        [cells.GetColumnByName(f"{axis}_mm").GetValue(1) for axis in "ras"], places[1], atol=1e-3
    )


def test_a_point_placed_by_hand_is_measured_and_told_as_such(measured: ResultsUser) -> None:
    (result,) = measured.results
    result.nodes.fiducials.SetNthControlPointPositionWorld(3, 1, 2, 3)
    measured.harness.process_events()
    assert measured.column(DETAIL)[measured.titles.index("tail")].startswith("placed by hand")
    assert result.nodes.curve.GetNumberOfControlPoints() == 4


def test_the_curve_is_not_drawn_anew_where_nothing_moved(measured: ResultsUser) -> None:
    curve = measured.results[0].nodes.curve
    before = curve.GetMTime()
    measured.click_row("chest")
    measured.harness.process_events()
    assert curve.GetMTime() == before


def test_the_points_of_a_result_that_is_not_chosen_follow_too(measured: ResultsUser) -> None:
    from medslicer.results.measures import add_distance, measures_of

    (first,) = measured.results
    clone = first.nodes.fiducials
    add_distance(first, 2, 3)
    measured.module.widget.panel.settings.shown = None
    by_hand(measured, clone)
    found = {measure.name: measure.value for measure in measures_of(first)}
    places = world(clone)
    assert found["chest–foot"] == pytest.approx(np.linalg.norm(places[1] - places[2]), abs=1e-3)


def test_numbers_go_with_their_teeth(teeth: ResultsUser) -> None:
    import slicer

    (result,) = teeth.results
    before = [world(points) for points in result.nodes.numbers]
    parent = teeth.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = UP
    slicer.util.updateTransformMatrixFromArray(parent, matrix)
    result.nodes.segmentation.SetAndObserveTransformNodeID(parent.GetID())
    for points, places in zip(result.nodes.numbers, before, strict=True):
        np.testing.assert_allclose(world(points), places + UP, atol=1e-3)
