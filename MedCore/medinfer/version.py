"""The version of MedInfer."""

__version__ = "0.1.0"
