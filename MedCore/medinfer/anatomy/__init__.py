"""Anatomical knowledge: lungs, vertebrae in a row, teeth along an arch."""
