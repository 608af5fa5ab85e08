"""Where models lie, and where they come from."""
