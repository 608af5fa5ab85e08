"""The runtimes for networks (ONNX Runtime, OpenVINO and Torch), behind one `Session`."""

from .choose import Available, available, open_session
from .session import NetworkFile, Session

__all__ = ["Available", "NetworkFile", "Session", "available", "open_session"]
