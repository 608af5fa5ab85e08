"""Synthetic patients and their CT scans, from skull to thigh, with the truth about every vertebra."""

from __future__ import annotations

from .patient import draw_patient
from .scan import scan_patient
from .spec import EXTRA, LEVELS, CutVertebra, Patient, PatientSpec, ScanSpec, SpineScan, Tissue, Vector

__all__ = [
    "EXTRA",
    "LEVELS",
    "CutVertebra",
    "Patient",
    "PatientSpec",
    "ScanSpec",
    "SpineScan",
    "Tissue",
    "Vector",
    "draw_patient",
    "scan_patient",
]
