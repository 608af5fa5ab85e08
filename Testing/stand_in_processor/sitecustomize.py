"""Python runs this at its start in every process that a test starts: its folder is on PYTHONPATH there."""

import processor  # noqa: F401 (importing it is all)
