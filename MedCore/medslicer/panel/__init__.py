"""The Qt panel that the three modules share in Slicer: its contents, and the action of each control."""

from .panel import Panel as Panel
