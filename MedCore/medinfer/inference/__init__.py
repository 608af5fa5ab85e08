"""One run: a model's passes over a scan."""
