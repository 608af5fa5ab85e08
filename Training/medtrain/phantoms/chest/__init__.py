"""Synthetic chest CT with exact truth: lungs, vessels, airways, distractors and nodules of known place and size."""

from __future__ import annotations

from .chest import make_chest
from .insertion import insert_nodule
from .spec import ChestPhantom, ChestSpec, Kind, PhantomNodule, Place, Vector

__all__ = ["ChestPhantom", "ChestSpec", "Kind", "PhantomNodule", "Place", "Vector", "insert_nodule", "make_chest"]
