"""The harness's stand-ins for qMRML and ctk widgets, its .ui loading and its module loading.

What the node selector must do is what Slicer's own tests ask of it (Libs/MRML/Widgets/Testing/qMRMLNodeComboBoxTest*),
and what QComboBox does below it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from harness import LoadedModule, SignalError, SlicerHarness, SlotError, UserInterfaceError
from PySide6 import QtCore

VOLUME = "vtkMRMLScalarVolumeNode"

MODULE = '''
import slicer
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Small"
        parent.categories = ["Segmentation"]
        slicer.app.connect("startupCompleted()", lambda: slicer.modules.sampleDataSources.update(small=[]))


class SmallWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.heard = []

    def setup(self):
        super().setup()
        form = slicer.util.loadUI(self.resourcePath("UI/Small.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.ui.run.connect("clicked(bool)", self.onRun)
        self.ui.scan.connect("currentNodeChanged(vtkMRMLNode*)", self.onNode)

    def enter(self):
        self.heard.append("enter")

    def exit(self):
        self.heard.append("exit")

    def cleanup(self):
        self.heard.append("cleanup")
        self.removeObservers()

    def onRun(self):
        self.heard.append("run")
        if self.ui.run.text == "Fail":
            raise ValueError("the run failed")

    def onNode(self, node):
        self.heard.append(node.GetName() if node else None)


class SmallLogic(ScriptedLoadableModuleLogic):
    pass


class SmallTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.assertEqual(SmallLogic().getParameterNode().GetName(), "Small")
'''

FORM = '''<ui version="4.0"><class>Small</class>
<widget class="qMRMLWidget" name="Small"><layout class="QVBoxLayout" name="column">
 <item><widget class="qMRMLNodeComboBox" name="scan">
  <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
  <property name="noneEnabled"><bool>true</bool></property></widget></item>
 <item><widget class="ctkCollapsibleButton" name="more"><property name="text"><string>More</string></property>
  <property name="collapsed"><bool>true</bool></property><layout class="QVBoxLayout" name="inside">
  <item><widget class="ctkSliderWidget" name="score"><property name="maximum"><double>1.0</double></property>
   <property name="singleStep"><double>0.1</double></property></widget></item></layout></widget></item>
 <item><widget class="QPushButton" name="run"><property name="text"><string>Run</string></property></widget></item>
</layout></widget>
<connections>
 <connection><sender>Small</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>scan</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
 <connection><sender>more</sender><signal>toggled(bool)</signal>
  <receiver>run</receiver><slot>setDisabled(bool)</slot></connection>
</connections></ui>'''


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Small"
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Small.py").write_text(MODULE)
    (folder / "Resources" / "UI" / "Small.ui").write_text(FORM)
    return folder


@pytest.fixture
def small(harness: SlicerHarness, small_folder: Path) -> LoadedModule:
    return harness.load_module("Small", small_folder)


@pytest.fixture
def selector(harness: SlicerHarness) -> Any:
    import slicer

    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = [VOLUME]
    return made


def add(name: str, kind: str = VOLUME) -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


# The node selector -----------------------------------------------------------------------------------------------


def test_without_a_scene_the_selector_is_disabled_and_empty(selector: Any) -> None:
    import slicer

    assert (selector.enabled, selector.nodeCount(), selector.currentNode()) == (False, 0, None)
    assert (selector.addEnabled, selector.removeEnabled, selector.editEnabled) == (True, True, False)
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.enabled


def test_the_selector_follows_the_scene(selector: Any) -> None:
    import slicer

    heard: list[Any] = []
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("nodeAdded(vtkMRMLNode*)", lambda node: heard.append(node.GetName()))
    selector.connect("nodeAboutToBeRemoved(vtkMRMLNode*)", lambda node: heard.append(f"no {node.GetName()}"))
    scan = add("CT")
    add("points", "vtkMRMLMarkupsFiducialNode")
    assert (selector.nodeCount(), heard) == (1, ["CT"])
    scan.SetName("CT of the chest")
    assert selector._real._combo.itemText(1) == "CT of the chest"
    scan.SetHideFromEditors(True)
    scan.Modified()
    assert selector.nodeCount() == 0
    scan.SetHideFromEditors(False)
    scan.Modified()
    slicer.mrmlScene.RemoveNode(scan)
    assert (selector.nodeCount(), heard[-1]) == (0, "no CT of the chest")


def test_choosing_a_node_tells_once_with_the_node_and_whether_there_is_one(selector: Any) -> None:
    """qMRMLNodeComboBoxTest5: None is current at first, and each change is told once."""
    import slicer

    nodes: list[Any] = []
    valid: list[bool] = []
    selector.noneEnabled = True
    scan = add("CT")
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.currentNode() is None
    selector.connect("currentNodeChanged(vtkMRMLNode*)", nodes.append)
    selector.connect("currentNodeChanged(bool)", valid.append)
    selector.setCurrentNode(scan)
    selector.setCurrentNode(scan)
    selector.setCurrentNode(None)
    selector.currentNodeID = scan.GetID()
    assert nodes == [scan, None, scan]
    assert valid == [True, False, True]
    assert selector.currentNode() is scan
    with pytest.raises(SignalError):
        selector.connect("currentNodeChanged(vtkMRMLScalarVolumeNode*)", print)


def test_a_node_chosen_before_the_scene_comes_is_chosen_then(selector: Any) -> None:
    import slicer

    add("first")
    wanted = add("second")
    selector.setCurrentNodeID(wanted.GetID())
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.currentNode() is wanted


def test_when_the_chosen_node_is_removed_its_neighbour_takes_its_place(selector: Any) -> None:
    """QComboBox stays in the row, at the end of the list it goes one up; where that is "None", nothing is chosen."""
    import slicer

    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    first, second, third = add("first"), add("second"), add("third")
    selector.setCurrentNode(first)
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is second
    selector.setCurrentNode(third)
    slicer.mrmlScene.RemoveNode(third)
    assert selector.currentNode() is second
    slicer.mrmlScene.RemoveNode(second)
    assert selector.currentNode() is None


def test_a_node_before_the_chosen_one_that_goes_makes_it_tell_again_but_is_no_choice_of_the_user(selector: Any) -> None:
    """qMRMLNodeComboBox listens to its QComboBox's currentIndexChanged for the one, to its activated for the other."""
    import slicer

    current: list[Any] = []
    activated: list[Any] = []
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    first, second = add("first"), add("second")
    selector.setCurrentNode(second)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", current.append)
    selector.connect("nodeActivated(vtkMRMLNode*)", activated.append)
    slicer.mrmlScene.RemoveNode(first)
    assert (current, activated) == ([second], [])


def test_closing_the_scene_empties_the_selector(selector: Any) -> None:
    import slicer

    heard: list[Any] = []
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    selector.setCurrentNode(add("CT"))
    selector.connect("currentNodeChanged(bool)", heard.append)
    slicer.mrmlScene.Clear(0)
    assert (selector.nodeCount(), selector.currentNode(), heard) == (0, None, [False])


@pytest.mark.parametrize(("value", "count"), [("a", 1), ("b", 0), ("", 1), (None, 2)])
def test_attributes_filter_as_in_slicers_own_test(selector: Any, value: str | None, count: int) -> None:
    """qMRMLNodeComboBoxTest7."""
    import slicer

    add("no attribute")
    add("empty").SetAttribute("testingAttribute", "")
    add("valid").SetAttribute("testingAttribute", "a")
    selector.addAttribute(VOLUME, "testingAttribute", value)
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.nodeCount() == count


def test_setters_that_cpp_keeps_from_python_are_properties_only(selector: Any) -> None:
    with pytest.raises(AttributeError):
        selector.setNoneEnabled(True)
    with pytest.raises(AttributeError):
        selector.currentText  # noqa: B018
    with pytest.raises(AttributeError, match="creating new attributes"):
        selector.noneDisplayed = "x"


# ctk -------------------------------------------------------------------------------------------------------------


def test_a_closed_section_hides_what_is_in_it(harness: SlicerHarness, small: LoadedModule) -> None:
    more, score = small.ui("more"), small.ui("score")
    assert not score.isVisible()
    harness.click(more)
    assert score.isVisible()
    assert small.widget.ui.more.collapsed is False
    harness.click(more)
    assert not score.isVisible()


def test_the_slider_keeps_slider_spin_box_and_value_together(harness: SlicerHarness, small: LoadedModule) -> None:
    heard: list[float] = []
    score = small.widget.ui.score
    score.connect("valueChanged(double)", heard.append)
    score.value = 0.5
    score.setValue(0.5)
    score.value = 7
    assert heard == [0.5, 1.0]
    harness.click(small.ui("more"))
    harness.press(small.ui("score").findChild(QtCore.QObject, "Slider"), QtCore.Qt.Key_Left)
    assert score.value == pytest.approx(0.9)
    assert small.ui("SpinBox").value() == pytest.approx(0.9)


def test_tracking_off_tells_when_the_slider_is_let_go(harness: SlicerHarness, small: LoadedModule) -> None:
    heard: list[Any] = []
    score, slider = small.widget.ui.score, small.ui("Slider")
    score.tracking = False
    score.connect("valueChanged(double)", heard.append)
    score.connect("valueIsChanging(double)", lambda value: heard.append(f"to {value}"))
    slider.setSliderDown(True)
    slider.setValue(3)
    slider.setSliderDown(False)
    assert heard == ["to 0.3", 0.3]


# Forms -----------------------------------------------------------------------------------------------------------


def test_a_form_makes_its_connections(harness: SlicerHarness, small: LoadedModule) -> None:
    import slicer

    assert small.widget.ui.scan.mrmlScene() is slicer.mrmlScene
    harness.click(small.ui("more"))
    assert not small.ui("run").isEnabled()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ctkSliderWidget", "ctkNoSuchWidget", "no class ctkNoSuchWidget"),
        ("singleStep", "singelStep", "no property 'singelStep'"),
        ("mrmlSceneChanged(vtkMRMLScene*)", "sceneChanged(vtkMRMLScene*)", "no signal 'sceneChanged"),
        ("<slot>setMRMLScene(vtkMRMLScene*)", "<slot>setScene(vtkMRMLScene*)", "no slot setScene"),
        ("<receiver>scan", "<receiver>scans", "names 'scans'"),
    ],
)
def test_a_form_with_a_mistake_is_refused(
    harness: SlicerHarness, small_folder: Path, old: str, new: str, said: str
) -> None:
    import slicer

    form = small_folder / "Resources" / "UI" / "Small.ui"
    form.write_text(FORM.replace(old, new))
    with pytest.raises((UserInterfaceError, SignalError), match=said):
        slicer.util.loadUI(str(form))


# Modules ---------------------------------------------------------------------------------------------------------


def test_a_module_is_set_up_entered_and_left(harness: SlicerHarness, small: LoadedModule) -> None:
    import slicer

    assert small.widget.heard == ["enter"]
    assert (small.module.title, small.module.categories) == ("Small", ("Segmentation",))
    assert slicer.util.getModule("Small") == small.module
    assert slicer.util.modulePath("Small") == small.module.path
    assert slicer.util.selectedModule() == "Small"
    assert slicer.modules.sampleDataSources == {"small": []}
    with pytest.raises(AttributeError, match="creating new attributes"):
        small.module.titel = "x"
    harness.leave(small)
    assert small.widget.heard == ["enter", "exit"]


def test_a_click_runs_and_an_exception_in_it_fails_the_test(harness: SlicerHarness, small: LoadedModule) -> None:
    harness.click(small.ui("run"))
    assert small.widget.heard[-1] == "run"
    small.ui("run").setText("Fail")
    with pytest.raises(SlotError, match="the run failed"):
        harness.click(small.ui("run"))
    small.ui("run").setEnabled(False)
    with pytest.raises(AssertionError, match="disabled"):
        harness.click(small.ui("run"))


def test_reload_reads_the_file_again_and_cleans_up_the_old_panel(
    harness: SlicerHarness, small: LoadedModule, small_folder: Path
) -> None:
    old = small.widget
    (small_folder / "Small.py").write_text(MODULE.replace('"enter"', '"enter anew"'))
    harness.reload(small)
    assert old.heard[-1] == "cleanup"
    assert small.widget.heard == ["enter anew"]
    harness.click(small.ui("run"))
    assert (small.widget.heard[-1], old.heard[-1]) == ("run", "cleanup")


def test_the_parameter_node_is_one_and_comes_back_after_the_scene_was_closed(small: LoadedModule) -> None:
    import slicer

    logic = sys.modules["Small"].SmallLogic()  # type: ignore[attr-defined]
    node = logic.getParameterNode()
    assert logic.getParameterNode() is node
    assert node.GetAttribute("ModuleName") == "Small"
    assert logic.getAllParameterNodes() == [node]
    slicer.mrmlScene.Clear(0)
    assert logic.getParameterNode().GetScene() is slicer.mrmlScene


def test_a_modules_own_self_test_runs(small: LoadedModule) -> None:
    import slicer

    slicer.selfTests["Small"]()


def test_a_grab_is_a_picture_of_the_panel(harness: SlicerHarness, small: LoadedModule, tmp_path: Path) -> None:
    from PySide6.QtGui import QImage

    harness.grab(small, tmp_path / "panel.png")
    picture = QImage(str(tmp_path / "panel.png"))
    assert (picture.width(), picture.height()) == (small.column.width(), small.column.height())


def test_an_entry_is_chosen_by_its_text_and_a_cell_clicked_by_its_place(
    harness: SlicerHarness, small: LoadedModule
) -> None:
    import qt

    add("CT")
    harness.choose(small.ui("scan"), "CT")
    assert small.widget.heard[-1] == "CT"
    with pytest.raises(AssertionError, match="cannot be chosen"):
        harness.choose(small.ui("scan"), "MR")
    heard: list[tuple[int, int]] = []
    table = qt.QTableWidget(2, 2)
    table.connect("cellClicked(int,int)", lambda row, column: heard.append((row, column)))
    table.show()
    harness.click_cell(table, 1, 0)
    assert heard == [(1, 0)]
