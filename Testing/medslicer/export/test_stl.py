"""Surfaces as STL files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.errors import OutputError
from medinfer.findings import Findings, Segment
from medinfer.manifest import Manifest
from medslicer.export.stl import file_names, write_surfaces
from medslicer.nodes.segments import ShownSegment

NAMES = [
    "tooth-16.stl", "tooth-11.stl", "tooth-26.stl", "tooth-36.stl", "tooth-46.stl", "tooth-without-number-1.stl",
    "mandibular-canal.stl",
]


def corners_ras(path: Path) -> NDArray[np.float64]:
    """The corners `[n, 3, 3]` in a binary STL file, by the format's description, turned from LPS to RAS."""
    content = path.read_bytes()
    assert b"SPACE=LPS" in content[:80]
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles = np.frombuffer(content, record, offset=84)
    assert len(triangles) == int.from_bytes(content[80:84], "little")
    return triangles["corners"].astype(float) * (-1, -1, 1)


def test_a_file_a_segment_in_world_lps_with_the_volume_of_its_voxels(
    any_jaw: Any, teeth_manifest: Manifest, tmp_path: Path
) -> None:
    paths = write_surfaces(any_jaw.volume, any_jaw.findings, teeth_manifest, tmp_path / "out")
    assert [path.name for path in paths] == NAMES
    assert sorted(os.listdir(tmp_path / "out")) == ["stl"]
    assert sorted(os.listdir(tmp_path / "out" / "stl")) == sorted(NAMES)
    for path, segment in zip(paths[:-1], any_jaw.findings.segments, strict=False):
        corners = corners_ras(path)
        a, b, c = np.moveaxis(corners - corners.mean(axis=(0, 1)), 1, 0)
        # Signed: the faces look outwards, as printers want them.
        assert (a * np.cross(b, c)).sum() / 6 == pytest.approx(segment.volume_mm3, rel=0.03)
        assert corners.mean(axis=(0, 1)) == pytest.approx(segment.center_ras, abs=0.15)


def test_names_are_safe_for_any_disk_and_no_two_are_alike() -> None:
    titles = ["Zahn «46»/?", "zahn 46", "…"]
    segments = [
        ShownSegment(f"Segment_{value}", title, value, (1, 1, 1), "", 0.5, ())
        for value, title in enumerate(titles, start=1)
    ]
    assert file_names(segments) == ("zahn-46.stl", "zahn-46-2.stl", "segment.stl")


def test_nothing_found_is_no_file(jaw: Any, teeth_manifest: Manifest, tmp_path: Path) -> None:
    assert write_surfaces(jaw.volume, Findings(), teeth_manifest, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_a_segment_without_voxels_has_no_file(jaw: Any, teeth_manifest: Manifest, tmp_path: Path) -> None:
    ghost = Segment("11", 12, 0.5, (0, 0, 0), 0, 0)
    findings = Findings(segments=(jaw.findings.segments[0], ghost), label_map=jaw.label_map)
    paths = write_surfaces(jaw.volume, findings, teeth_manifest, tmp_path / "out")
    assert [path.name for path in paths] == ["tooth-16.stl"]


def test_a_folder_that_cannot_be_is_one_sentence(jaw: Any, teeth_manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        write_surfaces(jaw.volume, jaw.findings, teeth_manifest, tmp_path / "file")
