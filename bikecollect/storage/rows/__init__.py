"""Rows of stations as text."""
