"""Tiles in the number type that a network's input declares: some take the scan's own integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .session import Floats32

# ONNX Runtime's words for the types of numbers that an input may have.
_ONNX_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64,
}
_EXACT_BITS = 53


def type_of(declared: str) -> DTypeLike:
    """The type by ONNX Runtime's word for it; float32 for a word that is none of numbers, which the runtime refuses."""
    return _ONNX_TYPES.get(declared, np.float32)


def in_type(values: Floats32, kind: DTypeLike) -> NDArray[Any]:
    """`values` in another type: of integers the nearest, the lowest or highest there is where they lie beyond; 0 for
    what is no number."""
    wanted = np.dtype(kind)
    if wanted == values.dtype:
        return values
    if wanted.kind not in "iu":
        return values.astype(wanted)
    limits = np.iinfo(wanted)
    # float64 is exact up to 2⁵³: the highest 64-bit number would be rounded up to one that there is not.
    highest = np.nextafter(float(limits.max), 0) if limits.bits > _EXACT_BITS else limits.max
    nearest = np.rint(np.nan_to_num(values.astype(np.float64)))
    inside: NDArray[Any] = np.clip(nearest, limits.min, highest).astype(wanted)
    return inside
