"""Whether an exported network answers as the one that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIKE = 1e-3
"""Largest difference that rounding makes, as a share of the largest answer."""


def difference(path: Path, feeds: Mapping[str, NDArray[Any]], expected: NDArray[Any]) -> float:
    """The largest difference of the ONNX file's one answer from `expected`, as a share of the largest in that."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, dict(feeds))
    return float(np.abs(found - expected).max() / np.abs(expected).max())
