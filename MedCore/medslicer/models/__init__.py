"""Models as the panel shows them, and the packages they need."""
