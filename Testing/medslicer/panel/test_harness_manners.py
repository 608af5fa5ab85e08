"""The harness itself: real Qt and real MRML, shown to a module as PythonQt in Slicer shows them.

What PythonQt does was read in commontk/PythonQt (PythonQtInstanceWrapper.cpp, PythonQtSignalReceiver.cpp,
PythonQtConversion.cpp) and measured; the qMRML and ctk classes are as in their C++ headers.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from harness import SignalError, SlicerHarness, SlotError, UnexpectedDialogError


@pytest.fixture
def qt(harness: SlicerHarness) -> Any:
    import qt

    return qt


@pytest.fixture
def ctk(harness: SlicerHarness) -> Any:
    import ctk

    return ctk


# Properties ------------------------------------------------------------------------------------------------------


def test_a_property_is_a_value_and_no_call(qt: Any) -> None:
    button = qt.QPushButton("Run")
    assert button.text == "Run"
    assert button.enabled is True
    button.text, button.enabled = "Stop", False
    assert (button.text, button.isEnabled()) == ("Stop", False)
    with pytest.raises(TypeError, match="not callable"):
        button.text()


def test_the_getters_of_lists_and_tables_are_values_too(qt: Any) -> None:
    combo, table = qt.QComboBox(), qt.QTableWidget(2, 3)
    combo.addItems(["a", "b"])
    assert (combo.count, combo.currentIndex, combo.currentText) == (2, 0, "a")
    assert (table.rowCount, table.columnCount) == (2, 3)
    with pytest.raises(TypeError, match="not callable"):
        table.rowCount()


def test_what_the_cpp_class_has_not_can_be_neither_read_nor_set(qt: Any) -> None:
    label = qt.QLabel()
    with pytest.raises(AttributeError, match="QLabel has no attribute named 'caption'"):
        label.caption  # noqa: B018
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects is not allowed"):
        label.caption = "x"
    with pytest.raises(AttributeError, match="not writable"):
        label.width = 3


def test_a_property_refuses_a_value_of_another_kind(qt: Any) -> None:
    with pytest.raises(AttributeError, match="'text' of type 'QString' does not accept"):
        qt.QLabel().text = None
    with pytest.raises(AttributeError, match="'value' of type 'int' does not accept"):
        qt.QSpinBox().value = "three"


def test_name_is_another_word_for_object_name_and_children_are_attributes(qt: Any) -> None:
    box = qt.QGroupBox()
    child = qt.QCheckBox(box)
    child.name = "tick"
    assert child.objectName == "tick"
    assert box.tick == child
    assert box.children()[0] == child


def test_a_deleted_object_is_false_and_says_so(qt: Any) -> None:
    label = qt.QLabel("x")
    label.delete()
    assert not label
    with pytest.raises(ValueError, match="destroyed QLabel"):
        label.text  # noqa: B018


# Methods, enums, classes -----------------------------------------------------------------------------------------


def test_lists_come_back_as_tuples(qt: Any) -> None:
    table = qt.QTableWidget(1, 1)
    table.setItem(0, 0, qt.QTableWidgetItem("tooth"))
    assert isinstance(table.findItems("tooth", qt.Qt.MatchExactly), tuple)
    assert isinstance(table.children(), tuple)


def test_enums_are_ints_and_ints_are_taken_for_enums(qt: Any) -> None:
    assert qt.Qt.AlignRight | qt.Qt.AlignVCenter == 0x82
    assert isinstance(qt.QMessageBox.Ok, int)
    label, table = qt.QLabel(), qt.QTableWidget()
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    assert label.alignment == 0x82
    label.alignment = 4
    assert label.alignment == qt.Qt.AlignHCenter
    table.setSelectionMode(0)
    assert table.selectionMode == qt.QAbstractItemView.NoSelection
    assert qt.QCheckBox().checkState() == qt.Qt.Unchecked


def test_classes_know_their_bases(qt: Any, ctk: Any) -> None:
    button = ctk.ctkCollapsibleButton("Inputs")
    assert isinstance(button, qt.QAbstractButton)
    assert isinstance(button, qt.QWidget)
    assert not isinstance(button, qt.QLabel)
    assert button.className() == "ctkCollapsibleButton"
    assert button.inherits("QAbstractButton")


def test_arguments_that_fit_no_overload_are_refused(qt: Any) -> None:
    with pytest.raises(ValueError, match="matching overload"):
        qt.QLabel().setText()
    with pytest.raises(ValueError, match="no keyword arguments"):
        qt.QLabel(text="x")


def test_pysides_own_comforts_are_not_there(qt: Any) -> None:
    parent = qt.QWidget()
    with pytest.raises(ValueError, match="QKeySequence"):
        qt.QShortcut("Delete", parent)
    with pytest.raises(ValueError, match="use connect"):
        qt.QMenu(parent).addAction("Save", lambda: None)
    with pytest.raises(AttributeError):
        qt.Slot  # noqa: B018
    with pytest.raises(AttributeError, match=r"Qt 5\.15"):
        qt.QCheckBox().checkStateChanged  # noqa: B018


def test_a_file_dialog_gives_the_path_alone(harness: SlicerHarness, qt: Any) -> None:
    harness.choose_file("/scans/a.nrrd")
    assert qt.QFileDialog.getOpenFileName(None, "Open", "", "*.nrrd") == "/scans/a.nrrd"


# Signals ---------------------------------------------------------------------------------------------------------


def test_a_signal_is_named_by_its_full_signature(qt: Any) -> None:
    heard: list[bool] = []
    button = qt.QPushButton()
    button.checkable = True
    assert button.connect("clicked(bool)", heard.append) is True
    button.click()
    assert heard == [True]


@pytest.mark.parametrize("signal", ["clicked", "clicked(int)", "pushed()", "clicked(bool"])
def test_a_wrong_signal_name_raises_where_slicer_would_be_silent(qt: Any, signal: str) -> None:
    with pytest.raises(SignalError, match="has no signal"):
        qt.QPushButton().connect(signal, print)


def test_a_function_gets_as_many_arguments_as_it_takes(qt: Any) -> None:
    """PythonQtSignalTarget::call counts those with a default too."""
    heard: list[Any] = []
    button = qt.QPushButton()
    button.connect("clicked(bool)", lambda: heard.append("none"))
    button.connect("clicked(bool)", lambda name="default": heard.append(name))
    button.connect("clicked(bool)", lambda *given: heard.append(given))
    button.click()
    assert heard == ["none", False, (False,)]


def test_a_signal_is_also_an_attribute(qt: Any) -> None:
    heard: list[int] = []
    box = qt.QSpinBox()
    box.valueChanged.connect(heard.append)
    box.value = 7
    assert heard == [7]


def test_disconnecting_finds_the_same_bound_method(qt: Any) -> None:
    class Panel:
        count = 0

        def on_click(self) -> None:
            self.count += 1

    panel, button = Panel(), qt.QPushButton()
    button.connect("clicked()", panel.on_click)
    button.click()
    assert button.disconnect("clicked()", panel.on_click) is True
    button.click()
    assert panel.count == 1
    assert button.disconnect("clicked()", panel.on_click) is False


def test_an_exception_in_a_slot_fails_the_test(harness: SlicerHarness, qt: Any) -> None:
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    with pytest.raises(SlotError, match="ZeroDivisionError"):
        harness.wait_until(lambda: False, seconds=1)


def test_an_exception_in_a_timer_or_an_observer_fails_the_test(harness: SlicerHarness, qt: Any) -> None:
    import slicer

    def broken(*_: Any) -> None:
        raise LookupError("broken")

    qt.QTimer.singleShot(0, broken)
    with pytest.raises(SlotError, match="broken"):
        harness.wait_until(lambda: False, seconds=1)
    slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, broken)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    with pytest.raises(SlotError, match="broken"):
        harness.wait_until(lambda: False, seconds=1)


def test_an_exception_that_was_only_logged_fails_the_test(harness: SlicerHarness) -> None:
    try:
        raise OSError("disk full")
    except OSError:
        logging.getLogger("medslicer").exception("a panel could not show its job")
    with pytest.raises(SlotError, match="disk full"):
        harness.errors.raise_if_any()


def test_leaving_the_harness_raises_what_nobody_has_seen(tmp_path: Path) -> None:
    def use() -> None:
        with SlicerHarness(tmp_path):
            import qt

            button = qt.QPushButton()
            button.connect("clicked()", lambda: 1 / 0)
            button.click()

    with pytest.raises(SlotError, match="ZeroDivisionError"):
        use()


# The application -------------------------------------------------------------------------------------------------


def test_dialogs_are_remembered_and_answered_in_order(harness: SlicerHarness) -> None:
    import slicer

    harness.answer(confirm=True)
    harness.answer(confirm=False)
    assert slicer.util.confirmOkCancelDisplay("Install 30 MB?", windowTitle="MedDetect") is True
    assert slicer.util.confirmYesNoDisplay("Really?") is False
    assert [dialog.text for dialog in harness.shown_dialogs] == ["Install 30 MB?", "Really?"]
    assert harness.shown_dialogs[0].title == "MedDetect"


def test_an_unexpected_dialog_fails_the_test(harness: SlicerHarness) -> None:
    import slicer

    slicer.util.errorDisplay("no such file")
    with pytest.raises(SlotError) as caught:
        harness.errors.raise_if_any()
    assert isinstance(caught.value.__cause__, UnexpectedDialogError)
    assert "no such file" in str(caught.value)


def test_an_answer_that_no_dialog_took_fails_the_test(tmp_path: Path) -> None:
    def use() -> None:
        with SlicerHarness(tmp_path) as harness:
            harness.answer(confirm=True)

    with pytest.raises(AssertionError, match="never came up"):
        use()


def test_settings_are_one_file_of_the_test(harness: SlicerHarness, qt: Any) -> None:
    import slicer

    slicer.app.settings().setValue("MedDetect/model", "chest-nodules")
    assert qt.QSettings().value("MedDetect/model") == "chest-nodules"
    assert slicer.util.settingsValue("MedDetect/model", "") == "chest-nodules"
    assert qt.QSettings().value("MedDetect/other") is None
    assert Path(slicer.app.settings().fileName()).is_relative_to(harness.settings_folder)


def test_quitting_tells_who_waits_for_it(harness: SlicerHarness) -> None:
    import slicer

    heard: list[str] = []
    slicer.app.connect("aboutToQuit()", lambda: heard.append("quit"))
    harness.quit()
    assert heard == ["quit"]


def test_closing_the_scene_keeps_the_layout_and_tells_observers(harness: SlicerHarness) -> None:
    import slicer

    heard: list[str] = []
    # MRML's own events reach Python as "NoEvent": a callback must know by itself what it was for.
    for name in ("StartCloseEvent", "EndCloseEvent"):
        event = getattr(slicer.mrmlScene, name)
        slicer.mrmlScene.AddObserver(event, lambda caller, event, name=name: heard.append(f"{name} as {event}"))
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    slicer.mrmlScene.Clear(0)
    assert heard == ["StartCloseEvent as NoEvent", "EndCloseEvent as NoEvent"]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    layout = slicer.app.layoutManager()
    assert layout.sliceViewNames() == ("Red", "Green", "Yellow")
    assert layout.sliceWidget("Red").mrmlSliceNode().GetScene() is slicer.mrmlScene
    assert layout.threeDViewCount == 1


def test_nothing_of_slicer_is_left_when_the_harness_is_left(tmp_path: Path) -> None:
    import sys

    import slicer

    with SlicerHarness(tmp_path):
        assert slicer.app.applicationName == "Slicer"
    assert not hasattr(slicer, "app")
    assert not hasattr(slicer, "mrmlScene")
    assert not {"qt", "ctk", "slicer.ScriptedLoadableModule"} & sys.modules.keys()
