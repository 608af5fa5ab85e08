"""Jobs of all modules, one after the other, while the window stays responsive."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable
from typing import Any, Protocol

from .job import Job

log = logging.getLogger(__name__)

OnChange = Callable[[Job], None]

# Twenty looks a second: progress is smooth, and a step takes a small part of it.
_INTERVAL_MS = 50


class Loop(Protocol):
    """What calls the queue back: regularly between `start` and `stop`, and when the application quits meanwhile."""

    def start(self, beat: Callable[[], object], quitting: Callable[[], object]) -> None: ...
    def stop(self) -> None: ...


class QtLoop:
    """A QTimer of Slicer's own loop. Nothing is left connected while there is no job."""

    def __init__(self) -> None:
        self._timer: Any = None
        self._app: Any = None
        self._quitting: Callable[[], object] | None = None

    def start(self, beat: Callable[[], object], quitting: Callable[[], object]) -> None:
        if self._timer is not None:
            return
        import qt
        import slicer

        # Kept: what is to be disconnected must be the very object that was connected.
        self._app, self._quitting = slicer.app, quitting
        self._app.connect("aboutToQuit()", self._quitting)
        self._timer = qt.QTimer()
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.connect("timeout()", beat)
        self._timer.start()

    def stop(self) -> None:
        if self._timer is None:
            return
        self._timer.stop()
        self._app.disconnect("aboutToQuit()", self._quitting)
        self._timer = self._app = self._quitting = None


class JobQueue:
    """Runs one job at a time while the others wait; the loop runs only while there are jobs."""

    def __init__(self, loop: Loop | None = None) -> None:
        self._loop: Loop = loop or QtLoop()
        self._jobs: list[Job] = []
        self._followers: dict[int, OnChange] = {}

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The running job, then the waiting ones."""
        return tuple(self._jobs)

    def add(self, job: Job, on_change: OnChange) -> None:
        """Run `job` when its turn comes. on_change(job) is called at each change, and last when it is over."""
        if job in self._jobs or job.over:
            return
        self._jobs.append(job)
        self._followers[id(job)] = on_change
        self._loop.start(self.step, self.close)

    def position(self, job: Job) -> int:
        """0: its turn; 1: the next one, …; -1: not in the queue."""
        return self._jobs.index(job) if job in self._jobs else -1

    def step(self) -> None:
        """A short piece of work on the job whose turn it is."""
        for job in [job for job in self._jobs if job.over]:
            self._leaves(job)
        if not self._jobs:
            self._loop.stop()
            return
        job = self._jobs[0]
        changed = job.state == "waiting"
        if changed:
            job.start()
        changed = job.step() or changed
        if job.over:
            self._leaves(job)
        elif changed:
            self._tell(job)
        if not self._jobs:
            self._loop.stop()

    def close(self) -> None:
        """End all of them now: the application is about to quit."""
        jobs, self._jobs = self._jobs, []
        self._followers.clear()
        for job in jobs:
            try:
                job.close()
            except Exception:
                log.exception("a job could not be closed")
        self._loop.stop()

    def _leaves(self, job: Job) -> None:
        if job not in self._jobs:
            return  # a follower let the window live, and a step within that one has seen to it
        self._jobs.remove(job)
        self._tell(job)
        self._followers.pop(id(job), None)
        for waiting in self.jobs:
            self._tell(waiting)

    def _tell(self, job: Job) -> None:
        follower = self._followers.get(id(job))
        if follower is None:
            return
        try:
            follower(job)
        except Exception:  # a panel that is gone, or a bug in one, must not stop the others' jobs
            log.exception("a panel could not show its job")


def job_queue() -> JobQueue:
    """The queue of this process. It hangs on `slicer` itself, so that reloading a module does not lose it."""
    import slicer

    queue = getattr(slicer, "_medinfer_job_queue", None)
    if queue is None:
        queue = JobQueue()
        slicer._medinfer_job_queue = queue
        atexit.register(queue.close)
    found: JobQueue = queue
    return found
