"""Patients that are drawn: scans whose truth is known."""
