"""A picture of bytes in an offscreen window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def image_actor(pixels: NDArray[np.uint8]) -> Any:
    """Grey `[row, column]` or RGB `[row, column, 3]`, the first row on top, from the window's lower left corner."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    rows, columns = pixels.shape[:2]
    image = vtk.vtkImageData()
    image.SetDimensions(columns, rows, 1)
    values = np.ascontiguousarray(pixels[::-1]).reshape(rows * columns, *pixels.shape[2:])
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputData(image)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor
