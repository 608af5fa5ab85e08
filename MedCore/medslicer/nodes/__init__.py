"""Findings as MRML nodes."""
