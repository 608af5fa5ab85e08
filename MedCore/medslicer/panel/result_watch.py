"""Hears when findings are moved, by hand or by a transform, or hidden as a whole, in the Data module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..nodes.lookup import nodes_of
from ..results.following import follow
from ..results.result import Result

# What Slicer's tree makes of a folder that is switched off.
_FOLDER = "vtkMRMLFolderDisplayNode"


class ResultWatch(VTKObservationMixin):  # type: ignore[misc]
    """What is derived from a moved finding follows at once. on_change() is called after that."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change
        self._results: tuple[Result, ...] = ()
        self._watched: list[Any] = []
        self._following = False

    def watch(self, results: Sequence[Result]) -> None:
        """These are there now. What was moved while nobody looked is followed as well."""
        self._results = tuple(results)
        found = [node for result in results for node in _moving(result)]
        found += nodes_of(slicer.mrmlScene, _FOLDER)
        if [node.GetID() for node in found] != [node.GetID() for node in self._watched]:
            self.removeObservers()
            self._watched = found
            for node in found:
                for event in _events(node):
                    self.addObserver(node, event, self._changed)
        self._follow(self._results)

    def close(self) -> None:
        """Hear nothing more."""
        self.removeObservers()
        self._results, self._watched = (), []

    def _changed(self, node: Any, event: Any) -> None:
        self._follow([result for result in self._results if result.there and node in _moving(result)])
        self._on_change()

    def _follow(self, results: Sequence[Result]) -> None:
        if self._following:
            return
        self._following = True
        try:
            for result in results:
                follow(result)
        finally:
            self._following = False


def _moving(result: Result) -> list[Any]:
    """The nodes of a result from whose places others are derived."""
    return [node for node in (result.nodes.fiducials, result.nodes.segmentation) if node is not None]


def _events(node: Any) -> tuple[int, ...]:
    if node.IsA(_FOLDER):
        return (vtk.vtkCommand.ModifiedEvent,)
    whole = (node.TransformModifiedEvent, node.DisplayModifiedEvent)
    if not node.IsA("vtkMRMLMarkupsNode"):
        return whole
    return (
        *whole, node.PointModifiedEvent, node.PointRemovedEvent, node.PointPositionDefinedEvent,
        node.PointPositionUndefinedEvent, node.PointPositionMissingEvent, node.PointPositionNonMissingEvent,
    )
