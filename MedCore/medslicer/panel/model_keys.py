"""The keys of locked models: asked for once a session, and kept in memory only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from medinfer.library.keys import FILE, TEXT

if TYPE_CHECKING:
    from ..models.model_shelf import ShelfModel

# By the models' ids: the files that have their keys.
_files: dict[str, str] = {}


def key_file_for(model: ShelfModel, parent: Any) -> str | None:
    """The file with a locked model's key, which is asked for where it is not known; "" where the environment has one,
    None where nobody gave one."""
    if os.environ.get(FILE) or os.environ.get(TEXT):
        return ""
    if model.id not in _files:
        title = _("Key of {model}").format(model=model.title)
        path = qt.QFileDialog.getOpenFileName(parent, title, "", _("All files (*)"))
        if not path:
            return None
        _files[model.id] = path
    return _files[model.id]


def forget_key(model: str) -> None:
    """Ask for the key of the model of this id again: the one that was given did not fit."""
    _files.pop(model, None)
