"""The shell command, and the worker that a window starts."""
