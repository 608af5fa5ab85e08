"""`python -m medinfer` is the command `medinfer`."""

import sys

from .command.cli import main

sys.exit(main())
