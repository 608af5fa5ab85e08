"""An offscreen render window, with or without Slicer's displayable managers, and its picture as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medinfer.errors import OutputError

PICTURE_PIXELS = 900


class OffscreenWindow:
    """An empty window of `width` × `height` pixels; what is drawn is put into its `renderer`."""

    def __init__(self, width: int = PICTURE_PIXELS, height: int = PICTURE_PIXELS) -> None:
        import vtk

        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(width, height)
        self.window.AddRenderer(self.renderer)

    def write_png(self, path: Path) -> None:
        """Render once and write the picture. Raises OutputError."""
        import vtk

        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(grab.GetOutputPort())
        writer.Write()
        if writer.GetErrorCode() or not path.is_file():
            raise OutputError(
                f"{path} cannot be written; check the free space and permissions of its folder."
            )

    def close(self) -> None:
        """Let go of the graphics context."""
        self.window.Finalize()


def try_window() -> None:
    """Open a small window and close it: where there is nothing to draw with, VTK ends the process here."""
    trial = OffscreenWindow(8, 8)
    trial.window.Render()
    trial.close()


class OffscreenView(OffscreenWindow):
    """One view of a scene: the managers draw what the MRML nodes say into it.

    factory: the class whose instance knows the kind of view (slice or 3-D). managers: their class names.
    """

    def __init__(self, application_logic: Any, factory: Any, managers: Sequence[str]) -> None:
        import slicer
        import vtk

        super().__init__()
        # The managers of markups and cameras refuse to work without an interactor; a generic one needs no events.
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._interactor.Initialize()
        instance = factory.GetInstance()
        instance.SetMRMLApplicationLogic(application_logic)
        for manager in managers:
            if not instance.IsDisplayableManagerRegistered(manager):
                instance.RegisterDisplayableManager(manager)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(instance, self.renderer)

    def show(self, view_node: Any) -> None:
        """Draw what `view_node` (a slice or 3-D view node) is set to."""
        self._managers.SetMRMLDisplayableNode(view_node)

    def close(self) -> None:
        """Let go of the view node and of the graphics context."""
        self._managers.SetMRMLDisplayableNode(None)
        super().close()
