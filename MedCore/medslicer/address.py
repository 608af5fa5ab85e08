"""The project's public web address, defined only here.

It is not decided yet; example.org is a placeholder. Once it is, change HOME and RAW and run `make extension`, which
writes them into CMakeLists.txt and MedInfer.json; a test finds any other copy.
"""

from __future__ import annotations

HOME = "https://example.org/SlicerMedInfer"
"""The repository's page; its name must begin with “Slicer”."""
RAW = "https://example.org/SlicerMedInfer/raw/main"
"""The folder that serves the repository's files as they are, for Slicer's extension manager to show pictures from."""


def section(heading: str) -> str:
    """The address of a section of the README: "In Slicer" → …#in-slicer."""
    return f"{HOME}#{heading.lower().replace(' ', '-')}"
