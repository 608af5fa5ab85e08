"""Network targets, computed from the truth."""
