"""Advanced: it lists what this computer really has, and asks for that only when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers

from medinfer.backends import Available, available

Open = Callable[..., PanelUser]


@pytest.fixture
def usable(any_processor: str) -> list[Available]:
    """What the engine finds in this process."""
    return [row for row in available() if row.usable]


def until_known(user: PanelUser) -> None:
    user.wait(lambda: any("onnxruntime" in entry for entry in user.entries("deviceSelector")), "the devices")


def test_advanced_lists_what_is_here_once_it_is_unfolded(
    user: PanelUser, harness: SlicerHarness, usable: list[Available]
) -> None:
    harness.scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode").SetParameter("device", "tpu:7")
    assert workers() == []
    user.unfold("advancedSection")
    user.wait(workers, "the process that looks for them")
    until_known(user)
    names = [f"{row.backend} – {row.device}" for row in usable]
    # A choice from another computer does not vanish silently.
    assert user.entries("deviceSelector") == ["Automatic (fastest)", *names, "tpu – 7 (not available)"]
    assert user.chosen("deviceSelector") == "tpu – 7 (not available)"
    user.choose("deviceSelector", "Automatic")
    assert user.entries("deviceSelector") == ["Automatic (fastest)", *names]
    for _ in range(2):
        user.click("advancedSection")
        assert workers() == []
    precisions_follow_the_device(user, {f"{row.backend} – {row.device}": set(row.precisions) for row in usable})


def precisions_follow_the_device(user: PanelUser, have: dict[str, set[str]]) -> None:
    assert user.entries("precisionSelector") == ["Automatic", *sorted(set().union(*have.values()))]
    for device, words in have.items():
        user.choose("deviceSelector", device)
        assert user.entries("precisionSelector") == ["Automatic", *sorted(words)]
    for one, other in permutations(have, 2):
        for word in have[one] - have[other]:
            user.choose("deviceSelector", one)
            user.choose("precisionSelector", word)
            user.choose("deviceSelector", other)
            # It is the user's to change.
            assert user.chosen("precisionSelector").startswith(word)
            user.choose("precisionSelector", "Automatic")


def test_the_threshold_shown_is_the_models_until_it_is_set(user: PanelUser) -> None:
    from medslicer.models.model_shelf import shelf

    user.unfold("advancedSection")
    for model in shelf("detect"):
        if model.folder is not None:
            user.choose("modelSelector", model.title)
            assert user.ui("thresholdSpin").value() == pytest.approx(model.threshold, abs=0.005)
    user.click("ownThreshold")
    user.type_number("thresholdSpin", "0.31")
    user.choose("modelSelector", "Bright blobs")
    assert user.ui("thresholdSpin").value() == pytest.approx(0.31)
    assert user.ui("thresholdSpin").isEnabled()


def test_overlap_is_only_for_models_that_are_cut_into_tiles(open_panel: Open) -> None:
    """The bundled model of vertebrae looks at whole patches around points: nothing there overlaps."""
    from medslicer.models.model_shelf import shelf

    user = open_panel("MedLandmark")
    user.unfold("advancedSection")
    cut = shelf("landmark")[0].join in ("crop", "blend")
    assert user.ui("ownOverlap").isEnabled() == cut
    assert not user.ui("overlapSpin").isEnabled()
    detect = open_panel("MedDetect")
    detect.unfold("advancedSection")
    detect.click("ownOverlap")
    assert detect.ui("overlapSpin").isEnabled()
