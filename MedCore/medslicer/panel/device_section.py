"""The Advanced section: device and precision, threshold, tile overlap, and region."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from medinfer.backends import Available
from medinfer.errors import MedInferError

from ..jobs.errand import Errand
from ..jobs.shelf_errand import list_devices
from ..models.dependencies import consent_text, install, missing, optional
from .errand_work import ErrandWork
from .form import confirmed, fill, quiet, show_node
from .message import MessageLine
from .model_section import ModelSection
from .settings import Settings

AUTOMATIC = ""
# Stands in the list for what could be there.
_INSTALL = "install"


class DeviceSection:
    """The folded part of the panel. Devices are listed by a child process when it is first opened."""

    def __init__(self, ui: Any, message: MessageLine, settings: Settings, models: ModelSection) -> None:
        self._ui, self._message, self._settings, self._models = ui, message, settings, models
        self._there: tuple[Available, ...] = ()
        self._why_unknown = _("open this section to list devices")
        self._work = ErrandWork(lambda errand: None, self._looked)
        ui.advancedSection.connect("contentsCollapsed(bool)", self._folded)
        ui.deviceSelector.connect("activated(int)", self._device_chosen)
        ui.precisionSelector.connect("activated(int)", self._precision_chosen)
        ui.ownThreshold.connect("toggled(bool)", lambda on: self._threshold_changed())
        ui.thresholdSpin.connect("valueChanged(double)", lambda value: self._threshold_changed())
        ui.ownOverlap.connect("toggled(bool)", lambda on: self._overlap_changed())
        ui.overlapSpin.connect("valueChanged(int)", lambda value: self._overlap_changed())
        ui.mirrorBox.connect("toggled(bool)", self._mirroring_changed)
        ui.regionSelector.connect("nodeActivated(vtkMRMLNode*)", self._region_chosen)

    def refresh(self) -> None:
        """Show the settings."""
        settings = self._settings
        fill(self._ui.deviceSelector, self._device_entries(), settings.device)
        fill(self._ui.precisionSelector, self._precision_entries(), settings.precision)
        model = self._models.chosen
        own_threshold = model.threshold if model is not None else 0.5
        self._show_number(self._ui.ownThreshold, self._ui.thresholdSpin, settings.threshold, own_threshold)
        # Rounded: a QSpinBox takes 28.999… for 28.
        overlap = None if settings.overlap is None else round(100 * settings.overlap)
        self._show_number(self._ui.ownOverlap, self._ui.overlapSpin, overlap, None)
        cut = model is None or model.join in ("crop", "blend")
        self._ui.ownOverlap.setEnabled(cut)
        self._ui.overlapSpin.setEnabled(cut and settings.overlap is not None)
        with quiet(self._ui.mirrorBox):
            self._ui.mirrorBox.setChecked(settings.mirroring != "off")
        for widget in (self._ui.mirrorLabel, self._ui.mirrorBox):
            widget.setVisible(model is not None and model.mirrors)
        show_node(self._ui.regionSelector, settings.region)

    def close(self) -> None:
        """End the child that looks for devices."""
        self._work.close()

    def look(self) -> None:
        """List the devices, once."""
        if self._work.going_on or self._there:
            return
        if missing(None):
            self._why_unknown = _("known after the first run")
            return
        try:
            self._work.begin(list_devices())
        except MedInferError as error:
            self._why_unknown = str(error)
            return
        self._why_unknown = _("looking…")

    def _folded(self, folded: bool) -> None:
        if not folded:
            self.look()
            self.refresh()

    def _looked(self, errand: Errand) -> None:
        self._there, self._why_unknown = errand.devices, errand.problem
        self.refresh()

    def _device_entries(self) -> list[tuple[str, str]]:
        """The choices; a chosen device that is not available (any more) stays in the list and is marked."""
        usable = [row for row in self._there if row.usable]
        entries = [(_("Automatic (fastest)"), AUTOMATIC)]
        entries += [(f"{row.backend} – {row.device}", f"{row.backend}:{row.device}") for row in usable]
        if self._there:
            offer = _("{name} – install, {megabytes} MB…")
            entries += [
                (offer.format(name=entry.distribution, megabytes=entry.megabytes), _INSTALL) for entry in optional()
            ]
        chosen = self._settings.device
        if chosen and chosen not in [data for _text, data in entries]:
            entries.append((f"{chosen.replace(':', ' – ')} ({self._why_unknown or _('not available')})", chosen))
        return entries

    def _precision_entries(self) -> list[tuple[str, str]]:
        able = {word for row in self._there if self._settings.device in (AUTOMATIC, f"{row.backend}:{row.device}")
                for word in row.precisions}
        if self._settings.precision:
            able.add(self._settings.precision)
        return [(_("Automatic"), AUTOMATIC), *((word, word) for word in sorted(able))]

    def _device_chosen(self, index: int) -> None:
        data = self._ui.deviceSelector.itemData(index)
        if data == _INSTALL:
            self._install()
        else:
            self._settings.device = data

    def _install(self) -> None:
        """Install optional packages, after asking, and list the devices again."""
        offers = optional()
        self.refresh()
        if not offers or not confirmed(consent_text(offers, _)):
            return
        try:
            install(offers)
        except MedInferError as error:
            self._message.say(str(error), "error")
            return
        self._there = ()
        self.look()
        self.refresh()

    def _precision_chosen(self, index: int) -> None:
        self._settings.precision = self._ui.precisionSelector.itemData(index)

    def _threshold_changed(self) -> None:
        self._settings.threshold = self._ui.thresholdSpin.value if self._ui.ownThreshold.checked else None

    def _overlap_changed(self) -> None:
        self._settings.overlap = self._ui.overlapSpin.value / 100 if self._ui.ownOverlap.checked else None

    def _mirroring_changed(self, on: bool) -> None:
        self._settings.mirroring = "" if on else "off"

    def _region_chosen(self, node: Any) -> None:
        self._settings.region = node

    def _show_number(self, own: Any, spin: Any, value: float | None, otherwise: float | None) -> None:
        """A number that the user set, or, greyed, what the model has."""
        shown = otherwise if value is None else value
        with quiet(own), quiet(spin):
            own.setChecked(value is not None)
            if shown is not None:
                spin.setValue(shown)
        spin.setEnabled(value is not None)
