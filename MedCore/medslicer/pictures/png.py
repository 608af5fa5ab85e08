"""A picture as the bytes of a PNG file, by VTK and without a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """`pixels`, RGB `[row, column, 3]` with the first row on top, as PNG."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    height, width, _ = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    # VTK's first row is the lowest.
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels[::-1]).reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.WriteToMemoryOn()
    writer.SetInputData(image)
    writer.Write()
    return bytes(vtk_to_numpy(writer.GetResult()))
