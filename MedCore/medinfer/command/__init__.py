"""The shell command, and the worker process that the panel starts."""
