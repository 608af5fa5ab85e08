"""Export of a result: CSV, Slicer's files, surfaces, a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from medinfer.errors import MedInferError

from ..export.export import export_csv, export_markups, export_segmentation, export_surfaces
from ..export.report import export_report
from ..results.result import Result
from .form import add_action
from .message import MessageLine

if TYPE_CHECKING:
    from ..profiles import Profile

Write = Callable[[Result, Path], Any]
_FOLDER_KEY = "MedInfer/exportFolder"
# Of a proposed file, in characters: even of three bytes each they fit, with what is written beside it meanwhile.
_LONGEST_NAME = 60


class ExportMenu:
    """The menu of the Export button. result(): what would be written."""

    def __init__(
        self, button: Any, message: MessageLine, profile: Profile, result: Callable[[], Result | None]
    ) -> None:
        self._button, self._message, self._result = button, message, result
        self._menu = qt.QMenu(button)
        self._file(_("Table (CSV)…"), ".csv", "CSV (*.csv)", export_csv)
        if profile.task == "segment":
            self._file(_("Segmentation…"), ".seg.nrrd", "Segmentation (*.seg.nrrd)", export_segmentation)
            self._folder(_("Surfaces (STL)…"), export_surfaces)
        else:
            self._file(_("Markups…"), ".mrk.json", "Markups (*.mrk.json)", export_markups)
        self._file(_("Report…"), ".html", "Report (*.html)", export_report)
        button.setMenu(self._menu)

    def _file(self, text: str, suffix: str, kinds: str, write: Write) -> None:
        add_action(self._menu, text, lambda: self._to_file(text, suffix, kinds, write))

    def _folder(self, text: str, write: Write) -> None:
        add_action(self._menu, text, lambda: self._to_folder(text, write))

    def _to_file(self, text: str, suffix: str, kinds: str, write: Write) -> None:
        result = self._result()
        if result is None:
            return
        # A name in the scene may hold what no file's name can.
        name = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", result.name)[:_LONGEST_NAME]
        proposed = str(Path(self._last_folder()) / f"{name}{suffix}")
        chosen = qt.QFileDialog.getSaveFileName(self._button, text.rstrip("…"), proposed, kinds)
        if chosen:
            # The dialogs of some systems leave the second half of a double suffix out.
            bare = chosen.removesuffix(suffix).removesuffix(Path(suffix).suffix)
            self._write(write, result, Path(f"{bare}{suffix}"))

    def _to_folder(self, text: str, write: Write) -> None:
        result = self._result()
        if result is None:
            return
        chosen = qt.QFileDialog.getExistingDirectory(self._button, text.rstrip("…"), self._last_folder())
        if chosen:
            self._write(write, result, Path(chosen))

    def _write(self, write: Write, result: Result, path: Path) -> None:
        try:
            write(result, path)
        except MedInferError as error:
            self._message.say(str(error), "error")
            return
        qt.QSettings().setValue(_FOLDER_KEY, str(path if path.is_dir() else path.parent))
        self._message.say(_("Written: {path}").format(path=path), "done")

    def _last_folder(self) -> str:
        return str(qt.QSettings().value(_FOLDER_KEY) or "")
