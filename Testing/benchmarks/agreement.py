"""How far two results agree."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def dice(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Dice of two masks of the same shape; 1 where both are empty."""
    both = int(one.sum()) + int(other.sum())
    return float(2 * (one & other).sum() / both) if both else 1.0
