"""Synthetic jaws and their CBCT scans, with the exact truth about every tooth and the mandibular canals."""

from __future__ import annotations

from .jaws import draw_jaws
from .scan import scan_jaws
from .spec import DENTITIONS, FIRST_EXTRA, METALS, Bite, CbctSpec, Dentition, Field, Jaws, JawScan, JawSpec, Tissue
from .streaks import add_streaks

__all__ = [
    "DENTITIONS",
    "FIRST_EXTRA",
    "METALS",
    "Bite",
    "CbctSpec",
    "Dentition",
    "Field",
    "JawScan",
    "JawSpec",
    "Jaws",
    "Tissue",
    "add_streaks",
    "draw_jaws",
    "scan_jaws",
]
