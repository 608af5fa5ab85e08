"""How good findings are."""
