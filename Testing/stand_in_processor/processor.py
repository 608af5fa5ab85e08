"""Another processor for OpenVINO to report, in this process and in those that it starts.

MEDINFER_STAND_IN_PROCESSOR holds the capabilities, in OpenVINO's words: "FP32", "FP32 BF16", or "FP32 BF16 FP16".
Without it the real ones are reported. `MEDINFER_STAND_IN_PROCESSOR="FP32 BF16 FP16" make test` runs the whole suite so.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

VARIABLE = "MEDINFER_STAND_IN_PROCESSOR"
SETS = ("FP32", "FP32 BF16", "FP32 BF16 FP16")


def is_real() -> bool:
    """Whether what OpenVINO reports is what the processor has."""
    return not os.environ.get(VARIABLE)


class _AfterImport:
    """Waits until openvino is imported, which most processes never do."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "openvino":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _put_in_place(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _put_in_place(openvino: Any) -> None:
    real = openvino.Core.get_property

    def get_property(self: Any, *arguments: Any) -> Any:
        if arguments == ("CPU", "OPTIMIZATION_CAPABILITIES") and not is_real():
            return os.environ[VARIABLE].split()
        return real(self, *arguments)

    openvino.Core.get_property = get_property


if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path) and "openvino" not in sys.modules:
    sys.meta_path.insert(0, _AfterImport())
