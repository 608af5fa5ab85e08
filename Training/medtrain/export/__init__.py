"""From checkpoints to packages."""
