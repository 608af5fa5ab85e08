"""Runs the real scripted-module files of this extension outside Slicer: real .ui, real Qt, real MRML.

    with SlicerHarness(settings_folder) as harness:     # one QApplication a process; scene, settings, dialogs fresh
        module = harness.load_module("MedDetect")       # MedDetect/MedDetect.py unmodified, set up and entered
        module.widget                                   # its ScriptedLoadableModuleWidget
        button = module.ui("runButton")                 # PySide6's own widget, by object name
        harness.answer(confirm=True)                    # the next confirmation; harness.choose_file(path) the next file
        harness.click(button)                           # also click_cell(table, row, column), press(widget, key),
        harness.choose(combo, "text")                   # choose(combo or node selector, the entry's text)
        harness.wait_until(lambda: button.isEnabled())  # runs the Qt loop
        harness.shown_dialogs, harness.errors           # every dialog; every exception in a slot
        harness.reload(module); harness.grab(module, "panel.png"); harness.quit()

Python code of the module sees PythonQt's manners (`pythonqt.py`); a test sees PySide6. An exception in a slot, a dialog
without an answer, a signal or a property that does not exist: each fails the test.
"""

from __future__ import annotations

from .dialogs import ShownDialog, UnexpectedDialogError
from .errors import SlotError
from .signals import SignalError
from .slicer_harness import LoadedModule, SlicerHarness
from .user_interface import UserInterfaceError

__all__ = [
    "LoadedModule", "ShownDialog", "SignalError", "SlicerHarness", "SlotError", "UnexpectedDialogError",
    "UserInterfaceError",
]
