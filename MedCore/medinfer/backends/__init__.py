"""The runtimes for networks (ONNX Runtime, OpenVINO and Torch), behind one `Session`."""

from .choose import Available, available, open_session
from .mean import mean_of
from .session import NetworkFile, Session

__all__ = ["Available", "NetworkFile", "Session", "available", "mean_of", "open_session"]
