"""Adding a network that does not tell what a model must know: a form asks, beside each field stands what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    """A network alone, of one channel in and out, as the blob package has it."""
    weights = numpy_helper.from_array(np.ones((1, 1, 1, 1, 1), np.float32), "w")
    sizes = ["b", 1, "k", "j", "i"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "copy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)], [weights],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "bright.onnx")
    return tmp_path / "bright.onnx"


@pytest.fixture
def user(harness: SlicerHarness, own_library: Path, temporary: Path, open_panel: Open) -> PanelUser:
    return open_panel("MedToothSeg")


def type_into(user: PanelUser, name: str, text: str) -> None:
    user.ui("addFields").findChild(QtWidgets.QLineEdit, f"add_{name}").setText(text)


def problem(user: PanelUser, name: str) -> str:
    label = user.ui("addFields").findChild(QtWidgets.QLabel, f"add_{name}_problem")
    return "" if label.isHidden() else str(label.text())


def test_what_a_network_does_not_tell_is_asked_in_a_form(
    user: PanelUser, harness: SlicerHarness, network: Path, own_library: Path
) -> None:
    assert user.ui("addBox").isHidden()
    harness.choose_file(network)
    user.menu(MENU, FROM_FILE)
    assert not user.ui("addBox").isHidden()
    assert "bright.onnx" in user.ui("addTitle").text()
    type_into(user, "labels", "bright,bright")
    type_into(user, "spacing", "two")
    user.click("addButton")
    assert "must have distinct names" in problem(user, "labels")
    assert "must be one or three numbers above 0" in problem(user, "spacing")
    assert not list(own_library.iterdir())
    type_into(user, "labels", "bright")
    type_into(user, "spacing", "2")
    type_into(user, "id", "my-network")
    user.click("addButton")
    assert problem(user, "labels") == ""
    user.wait(lambda: user.menu_entry(MENU, FROM_FILE).isEnabled(), "the end of adding")
    assert "my-network 1.0.0 is installed" in user.message
    assert user.ui("addBox").isHidden()
    assert user.chosen("modelSelector") == "My network"


def test_the_form_can_be_left(user: PanelUser, harness: SlicerHarness, network: Path, own_library: Path) -> None:
    harness.choose_file(network)
    user.menu(MENU, FROM_FILE)
    user.click("addCancelButton")
    assert user.ui("addBox").isHidden()
    assert not list(own_library.iterdir())


def test_a_package_needs_no_form(user: PanelUser, harness: SlicerHarness, tmp_path: Path) -> None:
    harness.choose_file(write_package(tmp_path / "package"))
    user.menu(MENU, FROM_FOLDER)
    assert user.ui("addBox").isHidden()
    user.wait(lambda: user.menu_entry(MENU, FROM_FILE).isEnabled(), "the end of adding")
    assert "two-images 1.0.0 is installed" in user.message
