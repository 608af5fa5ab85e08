"""Dialogs without a person: every one shown is remembered, and answered as the test said beforehand.

A dialog that no answer waits for is an error that fails the test; it is cancelled so that nothing hangs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from .errors import UNCAUGHT
from .pythonqt import INSTANCE_METHODS, STATIC_METHODS
from .stand_in import stored


class UnexpectedDialogError(AssertionError):
    """A dialog came up and the test had said nothing about it."""


@dataclass(frozen=True)
class ShownDialog:
    """kind: message, open file, save file, folder, text or dialog."""

    kind: str
    title: str
    text: str


class Dialogs:
    """What was shown, and the answers still waiting, first come first served."""

    def __init__(self) -> None:
        self.shown: list[ShownDialog] = []
        self._confirms: deque[bool] = deque()
        self._paths: deque[str] = deque()

    def answer(self, confirm: bool) -> None:
        self._confirms.append(confirm)

    def choose_file(self, path: str) -> None:
        self._paths.append(path)

    def clear(self) -> None:
        self.shown.clear()
        self._confirms.clear()
        self._paths.clear()

    @property
    def unused(self) -> int:
        """Answers that no dialog asked for."""
        return len(self._confirms) + len(self._paths)

    def confirm(self, kind: str, title: str, text: str) -> bool:
        return bool(self._next(self._confirms, ShownDialog(kind, title, text), False))

    def path(self, kind: str, title: str, text: str) -> str:
        return str(self._next(self._paths, ShownDialog(kind, title, text), ""))

    def _next(self, answers: deque[Any], dialog: ShownDialog, cancelled: Any) -> Any:
        self.shown.append(dialog)
        if answers:
            return answers.popleft()
        UNCAUGHT.record(UnexpectedDialogError(f"unexpected {dialog.kind} dialog '{dialog.title}': {dialog.text}"))
        return cancelled


DIALOGS = Dialogs()
BUTTON = QtWidgets.QMessageBox.StandardButton
YES = (BUTTON.Ok, BUTTON.Yes, BUTTON.Retry, BUTTON.Save, BUTTON.Open)
NO = (BUTTON.Cancel, BUTTON.No, BUTTON.Close, BUTTON.Abort)


class ctkMessageBox(QtWidgets.QMessageBox):
    """What slicer.util's dialogs are made of."""

    dontShowAgainVisible = stored(bool, False)
    dontShowAgain = stored(bool, False)
    dontShowAgainSettingsKey = stored(str, "")


def _message(title: str, text: str, buttons: Any) -> int:
    """The button pressed. With one button only there is nothing to refuse."""
    wanted = YES if DIALOGS.confirm("message", title, text) else NO
    return next((b.value for b in (*wanted, *YES) if b in buttons), BUTTON.Cancel.value)


def _exec_message(box: Any) -> int:
    details = f"\n{box.informativeText()}" if box.informativeText() else ""
    return _message(box.windowTitle(), box.text() + details, box.standardButtons())


def _exec_dialog(dialog: Any) -> int:
    labels = (label.text() for label in dialog.findChildren(QtWidgets.QLabel))
    accepted = DIALOGS.confirm("dialog", dialog.windowTitle(), "\n".join(labels))
    (dialog.accept if accepted else dialog.reject)()
    return int(accepted)


def _static_message(default: Any) -> Any:
    def shown(parent: Any, title: str, text: str, buttons: Any = default, *_: Any) -> int:
        return _message(title, text, QtWidgets.QMessageBox.StandardButtons(int(buttons)))

    return shown


def _static_path(kind: str) -> Any:
    # PythonQt gives the path alone; PySide6 would give a pair.
    def shown(parent: Any = None, caption: str = "", directory: str = "", *rest: Any) -> str:
        _must_be_text(caption, directory, *rest[:1])
        return DIALOGS.path(kind, caption, directory)

    return shown


def _must_be_text(*values: Any) -> None:
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"Could not find matching overload for given arguments: {values!r}")


def install() -> None:
    """From here on no dialog opens a loop of its own."""
    box, files = QtWidgets.QMessageBox, QtWidgets.QFileDialog
    for name, default in {
        "question": BUTTON.Yes.value | BUTTON.No.value, "information": BUTTON.Ok.value, "warning": BUTTON.Ok.value,
        "critical": BUTTON.Ok.value,
    }.items():
        STATIC_METHODS[box, name] = _static_message(default)
    STATIC_METHODS[files, "getOpenFileName"] = _static_path("open file")
    STATIC_METHODS[files, "getSaveFileName"] = _static_path("save file")
    STATIC_METHODS[files, "getExistingDirectory"] = _static_path("folder")
    for spelling in ("exec", "exec_"):
        INSTANCE_METHODS[QtWidgets.QMessageBox, spelling] = _exec_message
        INSTANCE_METHODS[QtWidgets.QDialog, spelling] = _exec_dialog
