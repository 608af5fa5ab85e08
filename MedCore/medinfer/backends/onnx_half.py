"""An ONNX network in half precision, by ONNX Runtime's own converter: for cards whose tensor cores want it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

from ..errors import DeviceError
from .session import first_line


def can_halve() -> bool:
    """Whether the converter is here: it needs the package onnx."""
    return find_spec("onnx") is not None and find_spec("onnxruntime.transformers") is not None


def halved(content: bytes, path: Path) -> bytes:
    """The network with weights and values in float16, and inputs and outputs in float32 as before.

    What is known to need float32 stays in it. Raises DeviceError where it cannot be converted.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of each weight that float16 rounds to 0 or to its largest number
            model = convert_float_to_float16(onnx.load_model_from_string(content), keep_io_types=True)
            found: bytes = model.SerializeToString()
    except Exception as error:
        raise DeviceError(
            f"{path.name} cannot be brought to float16 ({first_line(error)}); use --precision tf32."
        ) from error
    return found
