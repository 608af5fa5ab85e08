"""A run's result in the scene: its rows, reviews, measures, and what the views show of it."""
