"""From a volume node to a result in the scene, for scripts: `process` waits while the window stays responsive.

The panel does the same without waiting; this module holds the shared code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from medinfer.errors import Cancelled, MedInferError, PackageError, ScanError

from ..nodes.volumes import grid_matrix
from ..profiles import Profile

if TYPE_CHECKING:
    from ..results.result import Result
    from .job import Job, RunSettings

# Between two looks, so that the child has the processor.
_REST_S = 0.01


def process(
    profile: Profile, volume_node: Any, settings: RunSettings, *,
    region: Any | None = None, replace: Result | None = None, progress: Callable[[str, float], None] | None = None,
    further: Mapping[str, Any] | None = None,
) -> Result:
    """Run a model on `volume_node` and return its result in the scene.

    region: an ROI node; only its inside is searched. further: volume nodes of further images of the patient, by the
    names that the model gives them. replace: the earlier result that this one replaces.
    progress(stage, share of the whole) is called now and then; what it raises ends the run and is raised. The run
    takes its turn behind those that wait already. Raises MedInferError (one sentence) where something is missing or
    wrong, Cancelled where someone stopped it; the scene is then as it was.
    """
    import slicer

    from ..models.dependencies import missing, missing_text
    from .job import Job
    from .job_queue import job_queue

    needs = missing(model_of(profile, settings.model))
    if needs:
        raise MedInferError(missing_text(needs))
    job = Job(volume_node, settings, region=region, title=profile.module, further=further or {})
    if volume_node.GetScene() is None:
        raise ScanError(f"{job.name} is not in a scene, so its result cannot be stored; load it again.")
    broken: list[Exception] = []

    def changed(changed_job: Job) -> None:
        if progress is None or broken:
            return
        try:
            progress(changed_job.stage, changed_job.share)
        except Exception as error:  # the script's own: it is the script's to see
            broken.append(error)
            changed_job.cancel()

    job_queue().add(job, changed)
    try:
        while not job.over:
            slicer.app.processEvents()
            sleep(_REST_S)
        if broken:
            raise broken[0]
        return result_of(job, profile, volume_node, replace=replace)
    finally:
        job.close()


def result_of(
    job: Job, profile: Profile, volume_node: Any | None, *, replace: Result | None = None, surfaces: bool = True
) -> Result:
    """Add what a job that is over has found to the scene; surfaces: see `add_result`.

    Raises Cancelled, or MedInferError with its problem.
    """
    from ..results.result import add_result

    if job.state == "cancelled":
        raise Cancelled("The run was cancelled; nothing was changed.")
    if job.findings is None:
        raise MedInferError(job.problem)
    if volume_node is None or volume_node.GetScene() is None:
        raise ScanError("The scan was removed from the scene during the run, so there is no result.")
    if not np.allclose(grid_matrix(volume_node), job.ijk_to_ras):
        raise ScanError(
            f"{volume_node.GetName()} was moved during the run (its origin, spacing or directions have changed), so "
            "the findings would be in the wrong place: run it again."
        )
    from medinfer.library.library import find_package

    package = find_package(job.settings.model)
    manifest = package.manifest
    if job.findings.model != package.reference:
        raise PackageError(f"The model {job.settings.model} was replaced during the run; run it again.")
    return add_result(
        volume_node.GetScene(), job.findings, volume_node, manifest, profile, name=profile.results, replace=replace,
        surfaces=surfaces,
    )


def model_of(profile: Profile, name: str) -> Any:
    """The model of an id in the library or in a folder. Raises PackageError if it cannot be run."""
    from ..models.model_shelf import model_in, shelf

    model = model_in(name) or next((entry for entry in shelf(profile.task) if entry.id == name), None)
    if model is None:
        known = ", ".join(entry.id for entry in shelf(profile.task))
        raise PackageError(
            f"There is no model {name!r} for {profile.module}: give a folder with a model.json, or one of {known}."
        )
    if model.problem:
        raise PackageError(model.problem)
    if model.task != profile.task:
        raise PackageError(f"{model.title} is not a model for {profile.module}.")
    if model.folder is None:
        raise PackageError(
            f"The model {model.title} is not on this computer; fetch it in {profile.module}'s panel."
        )
    return model
