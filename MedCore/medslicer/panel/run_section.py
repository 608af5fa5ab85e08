"""Scan, model and target, Run and Cancel, and the outcome of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from medinfer.errors import MedInferError

from ..jobs.job import Job, RunSettings
from ..jobs.job_queue import job_queue
from ..jobs.processing import result_of
from ..models.dependencies import consent_text, install, missing
from ..results.result import Result, results_in
from ..results.result_rows import Row
from .form import confirmed, fill, show_node
from .image_selectors import ImageSelectors
from .message import MessageLine, with_time_left
from .model_keys import forget_key, key_file_for
from .model_section import ModelSection
from .result_titles import titles_of
from .settings import Settings
from .spoken import spoken

if TYPE_CHECKING:
    from ..models.model_shelf import ShelfModel
    from ..profiles import Profile

NEW = ""


class RunSection:
    """The upper part of a panel. on_result(result) is called when a run has added one to the scene."""

    def __init__(
        self, ui: Any, message: MessageLine, profile: Profile, settings: Settings, models: ModelSection,
        on_result: Callable[[Result], None],
    ) -> None:
        self._ui, self._message, self._profile, self._settings, self._models = ui, message, profile, settings, models
        self._on_result = on_result
        self._job: Job | None = None
        self._installing = False
        self._scan_id = self._target_id = ""
        self._logged = 0
        self._begun = 0.0
        ui.scanSelector.connect("nodeActivated(vtkMRMLNode*)", self._scan_chosen)
        ui.targetSelector.connect("activated(int)", self._target_chosen)
        ui.runButton.connect("clicked(bool)", self._run)
        ui.cancelButton.connect("clicked(bool)", self._cancel)
        ui.progressBar.setVisible(False)
        self.images = ImageSelectors(ui, settings, message.clear)

    @property
    def running(self) -> bool:
        """Whether a run of this panel waits or is under way."""
        return self._job is not None

    def hindrance(self) -> str:
        """Why Run is not to be had, in one sentence; empty where it is."""
        if self._settings.scan is None:
            return str(_("Choose a scan to run on."))
        model = self._models.chosen
        if model is None:
            return str(_("No model is available: add one with the … button."))
        return self._hindrance_of(model)

    def _hindrance_of(self, model: ShelfModel) -> str:
        if model.problem:
            return str(model.problem)
        if model.folder is None:
            return str(_("This model is not on this computer yet: fetch it with the … button."))
        if why := self.images.hindrance(model):
            return why
        if self._models.busy:
            return str(_("The model library is being changed."))
        return str(_("The packages that the model needs are being installed.")) if self._installing else ""

    def refresh(self) -> None:
        """Show the settings and what can be done now."""
        ui, settings = self._ui, self._settings
        show_node(ui.scanSelector, settings.scan)
        self.images.refresh(self._models.chosen)
        results = results_in(slicer.mrmlScene, self._profile.module)
        entries = [(_("New result"), NEW)]
        for title, entry in zip(titles_of(results, settings.scan), results, strict=True):
            entries.append((_("Replace {name}").format(name=title), entry.table.GetID()))
        target = settings.target
        fill(ui.targetSelector, entries, target.GetID() if target is not None else NEW)
        ui.targetSelector.setEnabled(bool(results))
        hindrance = self.hindrance()
        ui.runButton.setEnabled(not hindrance and not self.running)
        offer = _("Find {findings} in this scan").format(findings=spoken(self._profile.findings))
        ui.runButton.setToolTip(hindrance or offer)
        ui.cancelButton.setEnabled(self.running)
        self._models.lock(self.running)
        self._message.hindered_by("" if self.running else hindrance)

    def volume_removed(self, node: Any) -> None:
        """The scene has lost `node`: a run on it has no place for its result any more."""
        if self._job is not None and node.GetID() == self._scan_id:
            self._stop(_("The scan was removed, so the run was stopped."))

    def scene_closing(self) -> None:
        """The scene is being closed: a run for it is of no use."""
        self._stop(_("The scene was closed, so the run was stopped."))

    def close(self) -> None:
        """End what runs; the panel goes away."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()

    def _scan_chosen(self, node: Any) -> None:
        self._message.clear()
        if node is not self._settings.scan:
            # Chosen for the scan before: its result must not give way to another scan's unasked.
            self._settings.target = None
        self._settings.scan = node

    def _target_chosen(self, index: int) -> None:
        node_id = self._ui.targetSelector.itemData(index)
        self._settings.target = slicer.mrmlScene.GetNodeByID(node_id) if node_id else None

    def _run(self, checked: bool = False) -> None:
        """Ask for what is missing, then hand the scan over."""
        if self.hindrance() or self.running:
            return
        try:
            if not self._dependencies_there():
                self._message.say(_("Not run: the packages it needs are not installed."))
                return
            scan, target, model = self._settings.scan, self._settings.target, self._models.chosen
            if self.hindrance() or scan is None or model is None:
                # While packages were installed the window was live: the scan or the model may be gone.
                self._message.clear()
                return
            settings = self._run_settings(model)
            if settings is None:
                self._message.say(_("Not run: this model is locked, and its key was not given."))
                return
            job = Job(
                scan, settings, region=self._settings.region, title=self._profile.module,
                further=self.images.chosen(model),
            )
        except MedInferError as error:
            self._fail(str(error))
            return
        self._scan_id, self._target_id = scan.GetID(), target.GetID() if target is not None else ""
        self._job, self._logged = job, 0
        self._begun = time.monotonic()
        self._ui.progressBar.setVisible(True)
        self._log(_("{model} on {scan}").format(model=model.title, scan=scan.GetName()))
        job_queue().add(job, self._job_changed)
        self.refresh()
        self._show_progress(job)

    def _dependencies_there(self) -> bool:
        """Whether all is installed, after asking. Raises MedInferError where installing fails."""
        needs = missing(self._models.chosen)
        if not needs:
            return True
        if not confirmed(consent_text(needs, _)):
            return False
        self._message.say(_("Installing…"))
        self._installing = True
        self.refresh()
        slicer.app.processEvents()
        try:
            install(needs)
        finally:
            self._installing = False
            self.refresh()
        return True

    def _run_settings(self, model: ShelfModel) -> RunSettings | None:
        """None where a key is needed and nobody gave one."""
        settings = self._settings
        key_file = key_file_for(model, self._ui.runButton) if model.locked else ""
        if key_file is None:
            return None
        backend, _colon, device = settings.device.partition(":")
        return RunSettings(
            model=model.id, backend=backend or "auto", device=device or "auto", precision=settings.precision or "auto",
            threshold=settings.threshold, overlap=settings.overlap, mirroring=settings.mirroring != "off",
            key_file=key_file,
        )

    def _cancel(self, checked: bool = False) -> None:
        if self._job is not None:
            self._message.say(_("Cancelling…"))
            self._job.cancel()

    def _stop(self, why: str) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        job.cancel()
        self._over()
        self._message.say(why, lasting=True)

    def _job_changed(self, job: Job) -> None:
        if job is not self._job:
            # Stopped before: nobody waits for it any more.
            if job.over:
                job.close()
            return
        self._show_log(job)
        if not job.over:
            self._show_progress(job)
            return
        self._job = None
        self._over()
        try:
            self._finish(job)
        except Exception as error:  # a bug of ours: the queue logs it, and the user must know that there is no result
            self._fail(_("The result could not be shown ({error}); see Slicer's log for details.").format(error=error))
            raise
        finally:
            job.close()

    def _show_progress(self, job: Job) -> None:
        self._ui.progressBar.setValue(round(1000 * job.share))
        ahead = job_queue().position(job)
        if job.state == "waiting" and ahead:
            self._message.say(_("Waiting for an earlier run to finish."))
            # What it waits is not what it takes.
            self._begun = time.monotonic()
            return
        number, count = job.part
        step = spoken(job.stage)
        if count > 1:
            step = _("{step} ({number} of {count})").format(step=step, number=number, count=count)
        self._message.say(with_time_left(step, job.seconds_left))

    def _finish(self, job: Job) -> None:
        """Turn what a run that is over has found into nodes, or say why there is nothing."""
        scene = slicer.mrmlScene
        results = results_in(scene, self._profile.module)
        try:
            replace = next((entry for entry in results if entry.table.GetID() == self._target_id), None)
            result = result_of(job, self._profile, scene.GetNodeByID(self._scan_id), replace=replace, surfaces=False)
        except MedInferError as error:
            if job.state == "cancelled":
                self._message.say(str(error))
            else:
                self._fail(self._of_its_scan(str(error), job))
                forget_key(job.settings.model)
            return
        self._settings.target = result.table if replace is not None else None
        self._settings.shown = result.table
        for note in result.notes:
            self._log(_("Note: {note}").format(note=note))
        told = self._of_its_scan(self._what_was_found(result), job)
        self._on_result(result)
        # Last: from here on the line is about this result.
        self._message.say(told, "done")

    def _of_its_scan(self, text: str, job: Job) -> str:
        """`text` with the name of the run's scan, where another one was chosen while it was looked at."""
        chosen = self._settings.scan
        if chosen is not None and chosen.GetID() == self._scan_id:
            return text
        return str(_("{scan}: {text}").format(scan=job.name, text=text))

    def _what_was_found(self, result: Result) -> str:
        seconds, rows = time.monotonic() - self._begun, result.shown_rows
        line = _("{found} found in {seconds:.0f} s").format(found=self._count(rows), seconds=seconds)
        doubtful = sum(bool(row.flags) for row in rows)
        if doubtful:
            line = _("{line} · {n} to check").format(line=line, n=doubtful)
        return "\n".join([line, *(f"{note[:1].upper()}{note[1:]}." for note in result.notes)])

    def _count(self, rows: Sequence[Row]) -> str:
        """How many there are, in words; what is no tooth is named, and a tooth without number is one to check."""
        profile = self._profile
        unnumbered = [row for row in rows if profile.task == "segment" and not row.fdi]
        found = len(rows) - len(unnumbered)
        words = f"{found or _('No')} {spoken(profile.finding if found == 1 else profile.findings)}"
        unsure = sum(bool(row.flags) for row in unnumbered)
        if unsure and not found:
            # Not "No teeth", with one to check.
            tooth = spoken(profile.finding if unsure == 1 else profile.findings)
            words = _("{n} {teeth} without a number").format(n=unsure, teeth=tooth)
        return ", ".join([words, *(row.title for row in unnumbered if not row.flags)])

    def _over(self) -> None:
        self._ui.progressBar.setVisible(False)
        self._ui.progressBar.setValue(0)
        self.refresh()

    def _fail(self, text: str) -> None:
        self._message.say(text, "error")
        self._log(text)

    def _show_log(self, job: Job) -> None:
        fresh = job.log_count - self._logged
        for line in job.log[-fresh:] if fresh else ():
            self._log(line)
        self._logged = job.log_count

    def _log(self, line: str) -> None:
        self._ui.logText.appendPlainText(line)
