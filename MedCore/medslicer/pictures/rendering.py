"""What volume rendering needs: a copy of the scan that is small enough, and a colour for every value."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.volume import Grid, Volume

TARGET_MM, MOST_VOXELS = 1.5, 256
# Value, opacity per millimetre of depth, colour; in between they are linear.
Transfer = tuple[tuple[float, float, tuple[float, float, float]], ...]


def coarsened(volume: Volume) -> Volume:
    """Means of blocks of voxels, about 1.5 mm wide; what is left over at the far ends is dropped."""
    step = [
        max(1, round(TARGET_MM / spacing), -(-n // MOST_VOXELS))
        for n, spacing in zip(volume.shape, volume.spacing, strict=True)
    ]
    step = [min(s, n) for s, n in zip(step, volume.shape, strict=True)]
    shape = [n // s for n, s in zip(volume.shape, step, strict=True)]
    means = np.zeros(shape, dtype=np.float32)
    # One voxel of every block at a time: no copy of the whole scan in floating point.
    for k, j, i in np.ndindex(*step):
        part = volume.voxels[k::step[0], j::step[1], i::step[2]][:shape[0], :shape[1], :shape[2]]
        means += np.clip(part, -1024, 3000)
    means /= float(np.prod(step))
    matrix = volume.grid.ijk_to_ras.copy()
    matrix[:3, :3] *= step[::-1]
    matrix[:3, 3] = volume.grid.to_ras((np.array(step) - 1) / 2)
    grid = Grid((shape[0], shape[1], shape[2]), matrix)
    return Volume(means.astype(np.int16), grid, volume.name, volume.modality)


def volume_property(scene: Any, transfer: Transfer) -> Any:
    """A vtkMRMLVolumePropertyNode with these colours."""
    import vtk

    opacity, color = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
    for value, alpha, rgb in transfer:
        opacity.AddPoint(value, alpha)
        color.AddRGBPoint(value, *rgb)
    node = scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode")
    node.SetScalarOpacity(opacity)
    node.SetColor(color)
    shading = node.GetVolumeProperty()
    shading.ShadeOn()
    shading.SetAmbient(0.55)
    shading.SetDiffuse(0.85)
    shading.SetSpecular(0.20)
    shading.SetSpecularPower(12)
    shading.SetInterpolationTypeToLinear()
    return node
