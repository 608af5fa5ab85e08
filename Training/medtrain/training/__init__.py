"""Training runs, and the commands that start them."""
