"""Runs and other errands in processes of their own."""
