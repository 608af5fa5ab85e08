"""What results are called in a list, so that each is told from the others and from another patient's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ..results.result import Result


def titles_of(results: Sequence[Result], scan: Any | None) -> list[str]:
    """Their names, in their order; with their scans' names where there are several, and numbered where those are alike.

    scan: the chosen one, if any, which may be another than theirs. On one scan a name is what its user called it.
    """
    names = [result.name for result in results]
    nodes = [result.volume_node for result in results]
    scans = [one.record.scan if node is None else node.GetName() for one, node in zip(results, nodes, strict=True)]
    if len({*nodes, *filter(None, [scan])}) < 2:
        return names
    titles = [
        _("{name} – {scan}").format(name=name, scan=of) if of else name
        for name, of in zip(names, scans, strict=True)
    ]
    counts, before = Counter(titles), Counter[str]()
    for place, title in enumerate(titles):
        before[title] += 1
        if counts[title] > 1:
            titles[place] = f"{title} ({before[title]})"
    return titles
