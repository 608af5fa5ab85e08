"""Short names for the images of a model, from what another program calls them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 28


def image_names(titles: Sequence[str]) -> list[str]:
    """Distinct names that `--input` and `model.json` can take, one for each title ("T1 weighted": "T1-weighted"); with
    numbers before them where some are alike, or have no letters for it."""
    names = [re.sub(r"[^A-Za-z0-9_.-]+", "-", title).strip("-._")[:_LONGEST] for title in titles]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"{n}-{name}".rstrip("-") for n, name in enumerate(names)]
