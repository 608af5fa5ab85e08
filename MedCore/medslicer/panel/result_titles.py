"""What results are called in a list, so that each is told from the others and from another patient's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ..results.result import Result


def titles_of(results: Sequence[Result], scan: Any | None) -> list[str]:
    """Their names, in their order; with their scans' names where some have the same name, or another scan than `scan`.

    What is the same even then is numbered. scan: the chosen one, if any.
    """
    names = [result.name for result in results]
    nodes = [result.volume_node for result in results]
    scans = [one.record.scan if node is None else node.GetName() for one, node in zip(results, nodes, strict=True)]
    several = len({*nodes, *filter(None, [scan])}) > 1 or len(set(names)) < len(names)
    titles = []
    for name, of in zip(names, scans, strict=True):
        titles.append(_("{name} – {scan}").format(name=name, scan=of) if several and of else name)
    counts, before = Counter(titles), Counter[str]()
    for place, title in enumerate(titles):
        before[title] += 1
        if counts[title] > 1:
            titles[place] = f"{title} ({before[title]})"
    return titles
