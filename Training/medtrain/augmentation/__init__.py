"""Augmentation: the same truth with another anatomy, scanner or pose."""
