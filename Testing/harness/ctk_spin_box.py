"""ctkDoubleSpinBox: a widget around a QDoubleSpinBox, not one itself."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Qt

from .stand_in import computed, stored


def _of_spin_box(kind: Any, getter: str, setter: str) -> QtCore.Property:
    return computed(
        kind, lambda self: getattr(self._spin_box, getter)(),
        lambda self, value: getattr(self._spin_box, setter)(value),
    )


class ctkDoubleSpinBox(QtWidgets.QWidget):
    """Slots: setValue, setValueIfDifferent, setValueAlways, stepUp, stepDown, setDecimals, setReadOnly."""

    SIGNATURES = {"valueChanged(QString)": "_textChanged(QString)"}  # noqa: RUF012
    valueChanged = QtCore.Signal(float)
    _textChanged = QtCore.Signal(str)
    editingFinished = QtCore.Signal()
    decimalsChanged = QtCore.Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._spin_box = QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._spin_box)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Fixed)
        self.setFocusProxy(self._spin_box)
        self._spin_box.valueChanged.connect(self.valueChanged)
        self._spin_box.textChanged.connect(self._textChanged)
        self._spin_box.editingFinished.connect(self.editingFinished)

    def setValue(self, value: float) -> None:
        self._spin_box.setValue(value)

    def setValueIfDifferent(self, value: float) -> None:
        self._spin_box.setValue(value)

    def setValueAlways(self, value: float) -> None:
        self._spin_box.setValue(value)

    def stepUp(self) -> None:
        self._spin_box.stepUp()

    def stepDown(self) -> None:
        self._spin_box.stepDown()

    def setDecimals(self, decimals: int) -> None:
        if decimals != self._spin_box.decimals():
            self._spin_box.setDecimals(decimals)
            self.decimalsChanged.emit(decimals)

    def setReadOnly(self, read_only: bool) -> None:
        self._spin_box.setReadOnly(read_only)

    value = _of_spin_box(float, "value", "setValue")
    minimum = _of_spin_box(float, "minimum", "setMinimum")
    maximum = _of_spin_box(float, "maximum", "setMaximum")
    singleStep = _of_spin_box(float, "singleStep", "setSingleStep")
    decimals = computed(int, lambda self: self._spin_box.decimals(), lambda self, n: self.setDecimals(n))
    prefix = _of_spin_box(str, "prefix", "setPrefix")
    suffix = _of_spin_box(str, "suffix", "setSuffix")
    cleanText = computed(str, lambda self: self._spin_box.cleanText())
    frame = _of_spin_box(bool, "hasFrame", "setFrame")
    readOnly = computed(bool, lambda self: self._spin_box.isReadOnly(), lambda self, value: self.setReadOnly(value))
    alignment = stored(int, Qt.AlignLeft.value)
    decimalsOption = stored(int, 9)
    setMode = stored(int, 1)
    invertedControls = stored(bool, False)
    sizeHintPolicy = stored(int, 0)
