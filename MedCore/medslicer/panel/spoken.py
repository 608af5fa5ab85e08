"""Translations of texts from files that do not depend on Slicer.

They stand here as literals, because Slicer's translators are given what stands inside `_()`.
"""

from __future__ import annotations

from slicer.i18n import tr as _


def spoken(text: str) -> str:
    """A stage of a job, a profile's word for what it finds, or a status, translated; any other text as it is."""
    words: dict[str, str] = {
        "Waiting for its turn": _("Waiting for its turn"),
        "Stopping": _("Stopping"),
        "Handing over the scan": _("Handing over the scan"),
        "Starting": _("Starting"),
        "Loading the model": _("Loading the model"),
        "Preparing the scan": _("Preparing the scan"),
        "Searching": _("Searching"),
        "Naming the findings": _("Naming the findings"),
        "Drawing borders": _("Drawing borders"),
        "Measuring": _("Measuring"),
        "Finishing": _("Finishing"),
        "nodule": _("nodule"),
        "nodules": _("nodules"),
        "landmark": _("landmark"),
        "landmarks": _("landmarks"),
        "tooth": _("tooth"),
        "teeth": _("teeth"),
        "runs the networks": _("runs the networks"),
        "validates the model description": _("validates the model description"),
        "separates the findings": _("separates the findings"),
    }
    return words.get(text, text)
