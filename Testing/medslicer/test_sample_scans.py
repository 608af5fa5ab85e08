"""Sample scans as volume nodes in a real scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medinfer.errors import ScanError
from medinfer.scans.reading import read_volume
from medslicer import sample_scans
from medslicer.headless import HeadlessSlicer
from medslicer.sample_scans import SAMPLE_SCANS, load_sample_scan


@pytest.mark.parametrize("module", SAMPLE_SCANS)
def test_a_sample_scan_becomes_a_volume_with_the_files_voxels_and_geometry(
    headless: HeadlessSlicer, module: str
) -> None:
    import slicer
    import vtk

    node = load_sample_scan(module)
    volume = read_volume(SAMPLE_SCANS[module].file)
    assert node.GetScene() is headless.scene
    assert node.GetName() == SAMPLE_SCANS[module].node
    assert np.array_equal(slicer.util.arrayFromVolume(node), volume.voxels)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), volume.grid.ijk_to_ras, atol=1e-4)
    assert node.GetDisplayNode() is not None


def test_a_missing_sample_scan_is_one_sentence_and_leaves_no_node(
    headless: HeadlessSlicer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample_scans, "FOLDER", tmp_path)
    with pytest.raises(ScanError, match="is missing or damaged; reinstall MedInfer"):
        load_sample_scan("MedDetect")
    assert headless.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
