"""The panel that the three modules share, on real Qt inside Slicer: what it shows, and what each control does."""

from .panel import Panel as Panel
