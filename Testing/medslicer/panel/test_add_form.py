"""Adding a network that does not tell what a model must know: a form asks, beside each field stands what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from onnx import TensorProto, helper, numpy_helper, save
from panel_user import PanelUser
from PySide6 import QtWidgets
from two_images import write_package

MENU, FROM_FILE, FROM_FOLDER = "modelMenuButton", "Add from a file", "Add from a folder"
Open = Callable[[str], PanelUser]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network alone, of one channel in and three out: nothing, the values less 200, and the values less 600."""
    weights = numpy_helper.from_array(np.array([0, 1, 2], np.float32).reshape(3, 1, 1, 1, 1), "w")
    bias = numpy_helper.from_array(np.array([0, -200, -800], np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["y"])], "bright",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, "k", "j", "i"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, "k", "j", "i"])], [weights, bias],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "bright.onnx")
    return tmp_path / "bright.onnx"


@pytest.fixture
def user(harness: SlicerHarness, own_library: Path, temporary: Path, open_panel: Open) -> PanelUser:
    return open_panel("MedToothSeg")


def field(user: PanelUser, name: str) -> Any:
    return user.ui("addBox").findChild(QtWidgets.QWidget, f"add_{name}")


def problem(user: PanelUser, name: str) -> str:
    label = user.ui("addBox").findChild(QtWidgets.QLabel, f"add_{name}_problem")
    return "" if label.isHidden() else str(label.text())


def errors(user: PanelUser) -> list[str]:
    """The fields beside which an error stands."""
    lines = user.ui("addBox").findChildren(QtWidgets.QLabel)
    shown = [line for line in lines if line.property("kind") == "error" and not line.isHidden()]
    return [line.objectName().removeprefix("add_").removesuffix("_problem") for line in shown]


def at_rest(user: PanelUser) -> None:
    user.wait(lambda: user.menu_entry(MENU, FROM_FILE).isEnabled(), "the end of what the library does")


def asked(user: PanelUser, network: Path) -> None:
    """The form for a network is there."""
    user.harness.choose_file(network)
    user.menu(MENU, FROM_FILE)
    at_rest(user)
    assert not user.ui("addBox").isHidden(), user.message


def test_what_a_network_does_not_tell_is_asked_in_a_form(
    user: PanelUser, harness: SlicerHarness, network: Path, own_library: Path, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    asked(user, network)
    assert "bright.onnx" in user.ui("addTitle").text()
    # What is usual is there to be read, and follows what is said.
    assert (field(user, "id").placeholderText(), field(user, "orientation").placeholderText()) == ("bright", "LPS")
    assert field(user, "activation").currentText() == "softmax (usual)"
    assert field(user, "images").isHidden(), "its input has one channel"
    field(user, "like").setCurrentIndex(field(user, "like").findText("MONAI"))
    assert field(user, "orientation").placeholderText() == "RAS"
    assert field(user, "axes").currentText() == "x, y, z (nibabel, MONAI) (usual)"
    # What must be said is an error when someone wants to go on, what is wrong at once.
    field(user, "spacing").setText("two")
    assert "“Voxel size, mm” must be one or three numbers above 0" in problem(user, "spacing")
    assert errors(user) == ["spacing"]
    user.click("addButton")
    assert "its 3 channels called" in problem(user, "labels")
    assert errors(user) == ["labels", "spacing"]
    field(user, "labels").setText("bright")
    field(user, "spacing").setText("2")
    assert problem(user, "spacing") == ""
    assert problem(user, "labels").startswith("It gives 3 channels, the first of which is the background")
    user.click("addPreviewButton")
    assert "Choose a scan above" in user.shown_in("addSeen")
    # What the network would see of a scan.
    field(user, "labels").setText("bright,brighter")
    node = add_volume(harness.scene, blob_scan[0])
    user.choose("scanSelector", node.GetName())
    user.click("addPreviewButton")
    at_rest(user)
    assert "voxels of 2 × 2 × 2 mm (x, y, z)" in user.shown_in("addSeen"), user.message
    assert user.ui("addPicture").pixmap().width() >= 200
    assert not list(own_library.iterdir())
    field(user, "id").setText("my-network")
    user.click("addButton")
    at_rest(user)
    assert "my-network 1.0.0 is installed" in user.message
    assert user.ui("addBox").isHidden()
    assert user.chosen("modelSelector") == "My network"


def test_the_form_can_be_left(user: PanelUser, network: Path, own_library: Path) -> None:
    asked(user, network)
    user.click("addCancelButton")
    assert user.ui("addBox").isHidden()
    assert not list(own_library.iterdir())


def test_cancel_stops_what_the_form_began(user: PanelUser, network: Path, own_library: Path) -> None:
    asked(user, network)
    field(user, "labels").setText("bright,brighter")
    user.click("addButton")
    assert user.message == "Adding the model…"
    assert user.ui("progressBar").maximum() == 0
    user.click("addCancelButton")
    at_rest(user)
    assert user.message == "Stopped; nothing was installed."
    assert user.ui("progressBar").isHidden()
    assert not [path for path in own_library.iterdir() if (path / "model.json").exists()]


def test_a_network_that_cannot_be_fed_is_not_asked_about(
    user: PanelUser, harness: SlicerHarness, network: Path, own_library: Path
) -> None:
    network.write_bytes(network.read_bytes()[:60])
    harness.choose_file(network)
    user.menu(MENU, FROM_FILE)
    at_rest(user)
    assert user.ui("addBox").isHidden()
    assert "bright.onnx" in user.message
    assert user.complains


def test_labels_become_points_where_points_are_shown(
    harness: SlicerHarness, own_library: Path, temporary: Path, open_panel: Open, network: Path
) -> None:
    user = open_panel("MedLandmark")
    asked(user, network)
    assert "Of its objects the centres are shown here" in user.ui("addTitle").text()
    field(user, "labels").setText("vertebrae_L5,vertebrae_L4")
    user.click("addButton")
    at_rest(user)
    assert "bright-points 1.0.0 is installed" in user.message
    assert user.chosen("modelSelector") == "Bright: points"


def test_a_package_needs_no_form(user: PanelUser, harness: SlicerHarness, tmp_path: Path) -> None:
    harness.choose_file(write_package(tmp_path / "package"))
    user.menu(MENU, FROM_FOLDER)
    assert user.ui("addBox").isHidden()
    at_rest(user)
    assert "two-images 1.0.0 is installed" in user.message


def test_a_model_of_another_module_is_said_to_be_there(
    harness: SlicerHarness, own_library: Path, temporary: Path, open_panel: Open, tmp_path: Path
) -> None:
    user = open_panel("MedDetect")
    harness.choose_file(write_package(tmp_path / "package"))
    user.menu(MENU, FROM_FOLDER)
    at_rest(user)
    assert user.message == "two-images is installed. It is for MedToothSeg: choose it there."
