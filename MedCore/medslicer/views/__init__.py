"""Where slices and cameras are turned to."""
