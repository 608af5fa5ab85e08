"""One result in the views: its scan in the slices, and no findings that could be taken for its own."""

from __future__ import annotations

from ..views.scan_in_slices import show_scan
from .result import Result, results_in
from .visibility import bring_back, put_away


def show_alone(result: Result) -> None:
    """Show the scan of `result` and its findings; put away those on other scans and its module's other results.

    What other modules found on the same scan stays as it is. Shown and rejected findings of all results stay so.
    """
    if not result.there:
        return
    scene, scan = result.table.GetScene(), result.volume_node
    if scan is not None:
        show_scan(scene, scan)
    for other in results_in(scene):
        if other != result and (other.module == result.module or other.volume_node is not scan):
            put_away(other.nodes)
    if bring_back(result.nodes):
        result.update_views()
