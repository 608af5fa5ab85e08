"""`python -m medinfer` is the command `medinfer`."""

import sys

from .cli import main

sys.exit(main())
