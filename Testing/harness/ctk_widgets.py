"""Small real Qt widgets in the place of CTK's: the same names, properties, slots and signals as the C++ headers have.

CTK's classes reach Python with their properties, slots, signals and Q_INVOKABLE methods only. So a setter that is
neither (`setCollapsed`, `setDecimals`) is a property here and no method: underscores hide what Python needs itself.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Qt

from .stand_in import computed, stored

# QWIDGETSIZE_MAX of qwidget.h
NO_MAXIMUM = (1 << 24) - 1


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header that shows and hides its children. `checked` is `not collapsed`."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(arguments[-1] if arguments and not isinstance(arguments[-1], str) else None)
        self._hidden_by_us: set[int] = set()
        self._collapsed = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(text)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self._header().height(), 0, 0)
        self.setBackgroundRole(QtGui.QPalette.ColorRole.Window)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setMaximumHeight(self.sizeHint().height() if collapsed else NO_MAXIMUM)
        self._show_children()
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _show_children(self) -> None:
        """Hide what would be visible; on opening, show again only what was hidden here."""
        for child in self.findChildren(QtWidgets.QWidget, options=Qt.FindDirectChildrenOnly):
            if self._collapsed and not child.isHidden():
                self._hidden_by_us.add(id(child))
                child.hide()
            elif not self._collapsed and id(child) in self._hidden_by_us:
                self._hidden_by_us.discard(id(child))
                child.show()

    def event(self, event: QtCore.QEvent) -> bool:
        # A child that arrives or is shown while closed: its parent learns of it here. (Never at ChildAdded: the child
        # is not whole yet.)
        if event.type() in {QtCore.QEvent.LayoutRequest, QtCore.QEvent.Show} and self.__dict__.get("_collapsed"):
            self._show_children()
        return super().event(event)

    def _header(self) -> QtCore.QSize:
        text = self.fontMetrics().size(Qt.TextShowMnemonic, self.text() or "XXXX")
        return QtCore.QSize(text.width() + 40, max(text.height() + 10, 24))

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= self._header().height()

    def sizeHint(self) -> QtCore.QSize:
        header = self._header()
        if self._collapsed:
            return header + QtCore.QSize(0, self.property("collapsedHeight"))
        return super().sizeHint().expandedTo(header)

    def minimumSizeHint(self) -> QtCore.QSize:
        header = self._header()
        if self._collapsed or self.layout() is None:
            return header
        return super().minimumSizeHint().expandedTo(header)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.state |= QtWidgets.QStyle.State_Sunken if self.isDown() else QtWidgets.QStyle.State_Raised
        option.rect.setHeight(self._header().height())
        painter = QtGui.QPainter(self)
        self.style().drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option, painter, self)
        height = option.rect.height()
        option.rect = QtCore.QRect(height // 4, height // 4, height // 2, height // 2)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowRight if self._collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        self.style().drawPrimitive(arrow, option, painter, self)
        self.style().drawItemText(
            painter, QtCore.QRect(height, 0, self.width() - height, height), Qt.AlignLeft | Qt.AlignVCenter
            | Qt.TextHideMnemonic, self.palette(), self.isEnabled(), self.text(), QtGui.QPalette.ButtonText,
        )

    collapsed = computed(bool, lambda self: self._collapsed, _set_collapsed)
    collapsedHeight = stored(int, 10)
    contentsFrameShape = stored(int, 0)
    contentsFrameShadow = stored(int, 16)
    contentsLineWidth = stored(int, 1)
    contentsMidLineWidth = stored(int, 0)
    buttonTextAlignment = stored(int, 0x81)
    indicatorAlignment = stored(int, 0x81)


class ctkComboBox(QtWidgets.QComboBox):
    """A QComboBox with a text for no choice."""

    defaultTextChanged = QtCore.Signal(str)
    currentUserDataAsStringChanged = QtCore.Signal(str)
    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = range(4)

    def _default_text(self, text: str) -> None:
        self.setPlaceholderText(text)
        self.defaultTextChanged.emit(text)

    def setCurrentUserDataAsString(self, data: str) -> None:
        self.setCurrentIndex(self.findData(data))

    defaultText = computed(str, lambda self: self.placeholderText(), _default_text)
    forceDefault = stored(bool, False)
    elideMode = stored(int, Qt.ElideNone.value)
    scrollWheelEffect = stored(int, 1)
    currentUserDataAsString = computed(
        str, lambda self: str(self.currentData() or ""), lambda self, data: self.setCurrentUserDataAsString(data)
    )


class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu beside it."""


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser that is as high as its text."""

    def heightForWidth(self, width: int) -> int:
        document = self.document().clone()
        document.setTextWidth(max(width - 2 * self.frameWidth(), 1))
        return int(document.size().height()) + 2 * self.frameWidth()

    def sizeHint(self) -> QtCore.QSize:
        hint = super().sizeHint()
        return QtCore.QSize(hint.width(), self.heightForWidth(max(self.width(), 100)))
