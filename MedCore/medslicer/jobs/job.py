"""One run of a model on a volume node, in a process of its own."""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medinfer.atomic_files import write_text
from medinfer.command.handed_over import read_label_map
from medinfer.errors import MedInferError, ScanError
from medinfer.findings import Findings
from medinfer.library.keys import FILE as KEY_FILE
from medinfer.library.places import is_package
from medinfer.volume import Volume

from .child import Child, fresh_folder
from .course import HANDING_OVER, Course, words_for
from .endings import unexpected_end
from .handover import Handover, Handovers, beside, scan_of
from .roi_block import block_of

State = Literal["waiting", "handing over", "running", "done", "failed", "cancelled"]

_LOG_LINES = 500
_NONE: Mapping[str, Any] = {}
# What the system may take to clear away a process that was killed, before its files can be deleted.
_LONGEST_END_S = 2.0


@dataclass(frozen=True)
class RunSettings:
    """What a user chose. model: id in the library, or a folder; threshold, overlap: shares, None: as the model says;
    mirroring: False to leave out mirrored tiles that the model declares. key_file: with the key of a locked model; "":
    where the engine looks for it (`medinfer.library.keys`)."""

    model: str
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threshold: float | None = None
    overlap: float | None = None
    threads: int | None = None
    mirroring: bool = True
    key_file: str = ""

    def __post_init__(self) -> None:
        """Raises MedInferError if a share is not between 0 and 1."""
        for name, value in (("threshold", self.threshold), ("tile overlap", self.overlap)):
            if value is not None and not (isinstance(value, (int, float)) and 0 <= value <= 1):
                raise MedInferError(f"The {name} must be a number from 0 to 1, not {value!r}.")


class Job:
    """A run: it waits, hands its scan over, runs, and is done, failed or cancelled.

    Someone calls `start` once and `step` every now and then (`JobQueue` does); each returns within some 20 ms. It holds
    on to the voxels and not to the node: deleting the volume or closing the scene changes nothing.

    stage: what it does, in words. share: of the whole, 0 … 1, never decreasing. problem: one sentence, if it failed.
    log: the last lines; log_count: how many there were in all. log_file: all that the process wrote, where it did.
    findings: with their label map; only of a done one. device: what it really runs on ("cpu, openvino, bfloat16").
    ijk_to_ras: where the scan lay when the run was wanted, 4×4, mm.
    """

    def __init__(
        self, volume_node: Any, settings: RunSettings, *, region: Any | None = None, title: str = "",
        further: Mapping[str, Any] = _NONE,
    ) -> None:
        """region: a ROI node to which the run is restricted. further: volume nodes of further images of the patient, by
        the names that the model gives them. Raises ScanError, one sentence, for a volume without
        voxels or with colours, and for a region outside of it."""
        self.settings, self.title = settings, title
        self.state: State = "waiting"
        self.problem, self.device = "", ""
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self.log_count = 0
        self.findings: Findings | None = None
        self.folder: Path | None = None
        self._scan = scan_of(volume_node)
        self.name, self.ijk_to_ras = self._scan.name, self._scan.grid.ijk_to_ras
        self._further = {name: beside(volume_node, node) for name, node in further.items()}
        self._values = [_scalars(node) for node in (volume_node, *further.values())]
        self._unchanged = [values.GetMTime() for values in self._values]
        self._focus = None if region is None else block_of(region, self._scan, volume_node)
        self._course = Course()
        self._begun = 0.0
        self._cancelling = False
        self._result: Mapping[str, Any] | None = None
        self._handover: Handovers | None = None
        self._child: Child | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def stage(self) -> str:
        if self.state == "waiting":
            return "Waiting for its turn"
        return "Stopping" if self._cancelling and not self.over else words_for(self._course.stage)

    @property
    def part(self) -> tuple[int, int]:
        """Which of the model's passes is at work, from 1 on, and how many there are; (0, 0) outside of them."""
        return (0, 0) if self.over or self._cancelling else self._course.part

    @property
    def share(self) -> float:
        return 1.0 if self.state == "done" else self._course.share

    @property
    def seconds_left(self) -> float | None:
        return None if self.over or self._cancelling else self._course.seconds_left

    @property
    def log(self) -> tuple[str, ...]:
        return tuple(self._lines)

    @property
    def log_file(self) -> Path | None:
        file = None if self.folder is None else self.folder / "log.txt"
        return file if file is not None and file.exists() else None

    def start(self) -> None:
        """Begin. What goes wrong here is its `problem`, as later."""
        if self.state != "waiting":
            return
        self._begun = time.monotonic()
        self.state = "handing over"
        try:
            self.folder = fresh_folder()
            self._at(HANDING_OVER, 0)
            self._handover = Handovers([
                Handover(volume.voxels, self.folder / f"{name}.npy")
                for name, volume in {"scan": self._scan, **self._further_files()}.items()
            ])
            self._handover.start()
        except MedInferError as error:
            self._fail(str(error))

    def step(self) -> bool:
        """A short piece of work. True where something changed that a user may see."""
        before = (self.state, self.stage, self.share, self.log_count)
        try:
            if self.state == "handing over":
                self._hand_over()
            elif self.state == "running":
                self._follow()
        except MedInferError as error:
            self._fail(str(error))
        except Exception as error:  # a bug of ours must not leave a job that never ends
            self._fail(f"MedInfer failed unexpectedly ({type(error).__name__}: {error}).")
        return before != (self.state, self.stage, self.share, self.log_count)

    def cancel(self) -> None:
        """Stop it: within two seconds it is "cancelled", its process and all that this started are gone."""
        if self.over or self._cancelling:
            return
        self._cancelling = True
        if self.state == "running" and self._child is not None:
            self._child.cancel()
        else:
            self._end("cancelled")

    def close(self) -> None:
        """Stop it at once where it runs, and delete its temporary folder; the log of a failed one is kept."""
        if not self.over:
            self._cancelling = True
            self._end("cancelled", wait_s=_LONGEST_END_S)
        if self.state != "failed" and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _hand_over(self) -> None:
        assert self._handover is not None
        assert self.folder is not None
        whole = self._handover.step()
        self._course.at(HANDING_OVER, self._handover.share, 1)
        if not whole:
            return
        if [values.GetMTime() for values in self._values] != self._unchanged:
            raise ScanError(f"{self.name} was changed while it was being handed over; run it again.")
        write_text(self.folder / "job.json", json.dumps(self._wanted(self.folder)))
        # Nothing of a key is in the job's files, nor in what other users see of a process.
        keys = {KEY_FILE: self.settings.key_file} if self.settings.key_file else {}
        self._child = Child(["-m", "medinfer.command.worker", str(self.folder / "job.json")], self.folder, keys)
        self._child.start()
        self.state = "running"

    def _wanted(self, folder: Path) -> dict[str, Any]:
        """The job file."""
        chosen = {name: value for name, value in vars(self.settings).items() if name != "key_file"}
        model = Path(self.settings.model)
        return {
            **chosen, "model": str(model.resolve()) if is_package(model) else self.settings.model,
            "scan": str(folder / "scan.npy"), "ijk_to_ras": self._scan.grid.ijk_to_ras.tolist(),
            "name": self.name, "modality": self._scan.modality, "focus": self._focus,
            "further": {
                name: {"scan": str(folder / f"{file}.npy"), "ijk_to_ras": volume.grid.ijk_to_ras.tolist(),
                       "name": volume.name, "modality": volume.modality}
                for (name, volume), file in zip(self._further.items(), self._further_files(), strict=True)
            },
            "result": str(folder / "result.json"), "label_map": str(folder / "labels.npy"),
        }

    def _further_files(self) -> dict[str, Volume]:
        """By the names of their files."""
        return {f"image{n}": volume for n, volume in enumerate(self._further.values(), start=1)}

    def _follow(self) -> None:
        """What the process told since the last step."""
        assert self._child is not None
        # Asked first: what it told before it ended is then all there.
        running = self._child.running
        for event in self._child.poll():
            self._take(event)
        for line in self._child.log_lines():
            self._write(line)
        if not running:
            self._ended(self._child)

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, before = event.get("event"), self._course.stage
        self._course.told(event)
        if self._course.stage != before:
            self._at(self._course.stage)
        if kind == "session":
            self.device = ", ".join(str(event[key]) for key in ("device", "runtime", "precision"))
            self._note(self.device)
        elif kind == "message":
            self._note(str(event["text"]))
        elif kind == "error":
            self.problem = str(event["text"])
            if event.get("crash") and self._child is not None:
                self.problem = f"{self.problem.removesuffix('.')}: {self._child.log_file}."
        elif kind == "result":
            self._result = event

    def _ended(self, child: Child) -> None:
        if self._cancelling:
            self._end("cancelled")
        elif child.exit_code == 0 and self._result is not None:
            self._finish(self._result)
        else:
            self._fail(self.problem or unexpected_end(child.exit_code, child.log_file))

    def _finish(self, result: Mapping[str, Any]) -> None:
        """Read the whole result; only then is there one."""
        try:
            findings = Findings.from_json(Path(result["file"]).read_text(encoding="utf-8"))
            labels = result.get("label_map")
            if labels is not None:
                label_map = read_label_map(Path(labels["file"]), labels["ijk_to_ras"])
                findings = replace(findings, label_map=label_map)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._fail(f"The result could not be read ({error}); run it again.")
            return
        self.findings = findings
        self._end("done")

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self._note(problem)
        self._end("failed")

    def _end(self, state: State, wait_s: float = 0.05) -> None:
        """Let go of the process, the voxels and the files."""
        if self._child is not None:
            self._child.kill(wait_s)
        if self._handover is not None:
            self._handover.abandon()
        if state != "failed":
            self.problem = ""
        self.state = state
        self._note({"done": "Done", "failed": "Failed", "cancelled": "Cancelled"}[state])
        self._handover = None
        del self._scan, self._values, self._further
        if self.folder is None:
            return
        with suppress(OSError):  # someone may have cleared it away
            for path in list(self.folder.iterdir()):
                if path.name != "log.txt":
                    with suppress(OSError):
                        path.unlink()
            self.folder.rmdir()  # where there is no log

    def _at(self, stage: str, share: float | None = None) -> None:
        if share is not None:
            self._course.at(stage, share, 1)
        self._note(words_for(stage))

    def _note(self, text: str) -> None:
        """A line of the log, once where several stages have the same words."""
        if not (self._lines and self._lines[-1].endswith(f"  {text}")):
            self._write(f"{time.monotonic() - self._begun:6.1f} s  {text}")

    def _write(self, line: str) -> None:
        self._lines.append(line)
        self.log_count += 1


def _scalars(volume_node: Any) -> Any:
    return volume_node.GetImageData().GetPointData().GetScalars()
