"""All kinds of bad input and all faults, in the order in which they are tried."""

from __future__ import annotations

from . import (
    bad_commands,
    bad_dicom,
    bad_files,
    bad_folders,
    bad_geometry,
    bad_jobs,
    bad_packages,
    faults_disk,
    faults_processes,
)

KINDS = (
    *bad_files.KINDS, *bad_geometry.KINDS, *bad_dicom.KINDS, *bad_folders.KINDS, *bad_packages.KINDS,
    *bad_commands.KINDS, *bad_jobs.KINDS,
)
FAULTS = (*faults_disk.FAULTS, *faults_processes.FAULTS)
