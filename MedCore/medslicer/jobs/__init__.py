"""Runs and model-library tasks in separate processes."""
