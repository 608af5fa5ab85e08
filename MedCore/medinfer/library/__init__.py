"""The locations and sources of models."""
