"""`python -m medslicer.pictures SCENE FOLDER` draws a saved scene."""

import sys

from .pictures import main

sys.exit(main(sys.argv[1:]))
