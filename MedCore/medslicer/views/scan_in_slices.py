"""Which scan the slice views show."""

from __future__ import annotations

from typing import Any

from ..headless import in_application
from ..nodes.lookup import nodes_of


def show_scan(scene: Any, volume_node: Any) -> None:
    """Let every slice view of the application's scene show `volume_node`, and nothing of another scan over it.

    Where they show it already nothing changes; else the views are fitted to it.
    """
    import slicer

    views = nodes_of(scene, "vtkMRMLSliceCompositeNode")
    if all(view.GetBackgroundVolumeID() == volume_node.GetID() for view in views):
        return
    slicer.util.setSliceViewerLayers(background=volume_node, foreground=None, label=None, fit=in_application())
