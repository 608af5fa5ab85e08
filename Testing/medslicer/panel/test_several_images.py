"""A model of several images: a selector for each, and a run that gets them all, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser
from two_images import HERE, THERE, image, write_package

Open = Callable[[str], PanelUser]


@pytest.fixture
def patient(harness: SlicerHarness, own_library: Path, temporary: Path, open_panel: Open) -> PanelUser:
    """A user of MedToothSeg with two images of a patient, who has chosen the model that looks at both."""
    from medslicer.nodes.volumes import add_volume

    write_package(own_library / "two-images")
    for name, volume in {"first": image(HERE), "second": image(HERE, THERE)}.items():
        add_volume(harness.scene, volume).SetName(name)
    user = open_panel("MedToothSeg")
    user.choose("scanSelector", "first")
    user.choose("modelSelector", "Two images")
    return user


def test_a_selector_for_each_further_image_is_there_with_such_a_model_alone(patient: PanelUser) -> None:
    assert not patient.ui("imageSelector1").isHidden()
    assert patient.ui("imageLabel1").text() == "T2:"
    assert patient.ui("imageSelector2").isHidden()
    patient.choose("modelSelector", "Teeth")
    assert patient.ui("imageSelector1").isHidden()


def test_run_waits_for_all_images_and_finds_what_both_show(patient: PanelUser, harness: SlicerHarness) -> None:
    assert not patient.may_run
    assert "Choose the T2 image, too." in patient.message
    patient.choose("imageSelector1", "first")
    assert "it is in use already" in patient.message
    patient.choose("imageSelector1", "second")
    assert patient.may_run
    patient.run()
    patient.wait(lambda: patient.may_run, "the end of the run")
    assert not patient.complains
    segmentation = harness.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_images_under_different_transforms_are_brought_together(patient: PanelUser, harness: SlicerHarness) -> None:
    """The second image was moved by its transform and back by its own matrix: it shows the same places."""
    import slicer

    scene = harness.scene
    second = scene.GetFirstNodeByName("second")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = np.eye(4)
    moved[:3, 3] = (5.0, -3.0, 2.0)
    slicer.util.updateTransformMatrixFromArray(transform, moved)
    second.SetAndObserveTransformNodeID(transform.GetID())
    second.SetOrigin(*(np.array(second.GetOrigin()) - moved[:3, 3]))
    from medslicer.jobs.handover import beside, scan_of

    first = scene.GetFirstNodeByName("first")
    np.testing.assert_allclose(beside(first, second).grid.ijk_to_ras, scan_of(first).grid.ijk_to_ras, atol=1e-9)
