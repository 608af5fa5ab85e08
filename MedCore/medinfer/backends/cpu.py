"""The processor's physical cores, all of which a run uses by default."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def physical_cores() -> int:
    """Cores that this process may use, without hyper-threads, which would only slow a run down.

    Linux says which threads share a core; elsewhere an Intel or AMD processor is taken to have two a core.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_core_of(thread) for thread in allowed}
    if None not in cores:
        return max(1, len(cores))
    two_a_core = platform.machine().lower() in ("x86_64", "amd64") and platform.system() != "Linux"
    return max(1, len(allowed) // 2 if two_a_core else len(allowed))


def _core_of(thread: int) -> tuple[str, str] | None:
    folder = Path(f"/sys/devices/system/cpu/cpu{thread}/topology")
    try:
        return (folder / "physical_package_id").read_text(), (folder / "core_id").read_text()
    except OSError:
        return None
