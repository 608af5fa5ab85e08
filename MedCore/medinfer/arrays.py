"""Arrays of numpy on the host and tensors of torch on a device: what joins tiles and decides labels is written once.

Most functions have one name in both libraries; `library_of(values).where(…)` is the right one. The few that have not
stand here. torch is not imported: who has a tensor has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# An array of numpy, or a tensor of torch.
Array: TypeAlias = Any


def is_tensor(values: Array) -> bool:
    """Whether it is a tensor of torch."""
    return not isinstance(values, np.ndarray)


def library_of(values: Array) -> Any:
    """numpy or torch."""
    return sys.modules["torch"] if is_tensor(values) else np


def on_host(values: Array) -> NDArray[Any]:
    """The same as an array of numpy; a tensor is copied from its device."""
    found: NDArray[Any] = values.cpu().numpy() if is_tensor(values) else values
    return found


def beside(values: Array, array: NDArray[Any]) -> Array:
    """`array` in the library of `values`, on their device."""
    return library_of(values).as_tensor(array, device=values.device) if is_tensor(values) else array


def empty_beside(values: Array, shape: Sequence[int]) -> Array:
    """Fresh memory of that shape, type and device."""
    return values.new_empty(tuple(shape)) if is_tensor(values) else np.empty(shape, values.dtype)


def compact(values: Array) -> Array:
    """The same, one row behind the other in memory; copied only where it is not."""
    return values.contiguous() if is_tensor(values) else np.ascontiguousarray(values)


def copied(values: Array) -> Array:
    """The same in memory of its own."""
    return values.clone() if is_tensor(values) else values.copy()


def taken(values: Array, places: NDArray[np.intp], axis: int) -> Array:
    """`values` at these places along an axis."""
    if is_tensor(values):
        return values.index_select(axis, beside(values, places))
    return values.take(places, axis)


def as_bytes(shares: Array) -> Array:
    """0…1 as 0…255; what is no number as 0."""
    library = library_of(shares)
    return library.asarray(library.round(library.clip(library.nan_to_num(shares), 0, 1) * 255), dtype=library.uint8)
