"""The same truth as another patient, scanner or pose would show it."""
