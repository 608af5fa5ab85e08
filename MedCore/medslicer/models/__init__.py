"""Models as the panel shows them, and what they need installed."""
