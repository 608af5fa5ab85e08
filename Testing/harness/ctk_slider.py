"""ctkSliderWidget: a slider and a spin box that show the same number."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Qt

from .stand_in import computed, stored


class ctkSliderWidget(QtWidgets.QWidget):
    """Its slots are reset, setValue and setSpinBoxVisible; all else is a property, as in ctkSliderWidget.h."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(Qt.Horizontal, self)
        self._slider.setObjectName("Slider")
        self._spin_box = QtWidgets.QDoubleSpinBox(self)
        self._spin_box.setObjectName("SpinBox")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin_box)
        self._value, self._step = 0.0, 1.0
        self._dragged_from: float | None = None
        self._spin_box.setRange(0.0, 99.0)
        self._spin_box.valueChanged.connect(self.setValue)
        self._slider.valueChanged.connect(self._on_slider)
        self._slider.sliderPressed.connect(self._on_pressed)
        self._slider.sliderReleased.connect(self._on_released)
        self._fit()

    # Slots -------------------------------------------------------------------------------------------------------

    def setValue(self, value: float) -> None:
        """Forced into the range, rounded to the decimals; emits only when it changes."""
        low, high = self._spin_box.minimum(), self._spin_box.maximum()
        value = round(min(max(float(value), low), high), self._spin_box.decimals())
        changed = value != self._value
        self._value = value
        with QtCore.QSignalBlocker(self._spin_box):
            self._spin_box.setValue(value)
        with QtCore.QSignalBlocker(self._slider):
            self._slider.setValue(round((value - low) / self._step))
        if not changed:
            return
        if self._dragged_from is not None and not self.property("tracking"):
            self.valueIsChanging.emit(value)
        else:
            self.valueChanged.emit(value)

    def reset(self) -> None:
        self.setValue(0.0)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin_box.setVisible(visible)

    # Parts -------------------------------------------------------------------------------------------------------

    def _on_slider(self, position: int) -> None:
        self.setValue(self._spin_box.minimum() + position * self._step)

    def _on_pressed(self) -> None:
        self._dragged_from = self._value

    def _on_released(self) -> None:
        start, self._dragged_from = self._dragged_from, None
        if not self.property("tracking") and start != self._value:
            self.valueChanged.emit(self._value)

    def _fit(self) -> None:
        """The slider counts steps; keep its ends and place."""
        low, high = self._spin_box.minimum(), self._spin_box.maximum()
        with QtCore.QSignalBlocker(self._slider):
            self._slider.setRange(0, max(round((high - low) / self._step), 0))
        self.setValue(self._value)

    def _set(self, setter: str, value: Any) -> None:
        with QtCore.QSignalBlocker(self._spin_box):
            getattr(self._spin_box, setter)(value)
        self._fit()

    def _set_step(self, step: float) -> None:
        self._step = step if step > 0 else 1.0
        self._set("setSingleStep", self._step)

    minimum = computed(float, lambda self: self._spin_box.minimum(), lambda self, v: self._set("setMinimum", v))
    maximum = computed(float, lambda self: self._spin_box.maximum(), lambda self, v: self._set("setMaximum", v))
    value = computed(float, lambda self: self._value, lambda self, v: self.setValue(v))
    decimals = computed(int, lambda self: self._spin_box.decimals(), lambda self, v: self._set("setDecimals", v))
    singleStep = computed(float, lambda self: self._step, _set_step)
    pageStep = stored(float, 10.0)
    prefix = computed(str, lambda self: self._spin_box.prefix(), lambda self, v: self._set("setPrefix", v))
    suffix = computed(str, lambda self: self._spin_box.suffix(), lambda self, v: self._set("setSuffix", v))
    tickInterval = stored(float, 0.0)
    tickPosition = stored(int, 0)
    synchronizeSiblings = stored(int, 0)
    spinBoxAlignment = stored(int, Qt.AlignLeft.value)
    tracking = stored(bool, True)
    spinBoxVisible = computed(
        bool, lambda self: not self._spin_box.isHidden(), lambda self, v: self.setSpinBoxVisible(v)
    )
    popupSlider = stored(bool, False)
    invertedAppearance = stored(bool, False)
    invertedControls = stored(bool, False)
