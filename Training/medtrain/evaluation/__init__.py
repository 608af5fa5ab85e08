"""Commands that measure trained networks and packages."""
