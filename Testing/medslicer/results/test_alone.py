"""One result in the views, and the others put away as wholes."""

from __future__ import annotations

from typing import Any

from medslicer.nodes.volumes import add_volume
from medslicer.results.alone import show_alone


def test_points_curve_and_names_are_put_away_as_wholes(scene: Any, any_case: Any) -> None:
    first, second = any_case.add(scene), any_case.add(scene)
    rows = first.shown_rows
    show_alone(second)
    shown = [node.GetDisplayNode().GetVisibility() for node in first.nodes.made[1:]]
    assert not any(shown)
    assert first.shown_rows == rows
    show_alone(first)
    assert all(node.GetDisplayNode().GetVisibility() for node in first.nodes.made[1:])
    assert not any(node.GetDisplayNode().GetVisibility() for node in second.nodes.made[1:])


def test_of_another_module_on_the_same_scan_nothing_is_put_away(
    scene: Any, nodule_case: Any, landmark_case: Any
) -> None:
    node = add_volume(scene, nodule_case.volume)
    nodules, spine = nodule_case.add_to(scene, node), landmark_case.add_to(scene, node)
    elsewhere = landmark_case.add(scene)
    show_alone(nodules)
    assert spine.nodes.fiducials.GetDisplayNode().GetVisibility()
    assert not elsewhere.nodes.fiducials.GetDisplayNode().GetVisibility()
