"""Networks, and weights out of checkpoints."""
