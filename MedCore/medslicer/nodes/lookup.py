"""Finding nodes in a scene."""

from __future__ import annotations

from typing import Any


def nodes_of(scene: Any, kind: str) -> list[Any]:
    """All nodes of the class `kind` (or derived from it), in the scene's order.

    `slicer.util.getNodesByClass` searches the application's scene, whichever scene it is given.
    """
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]
