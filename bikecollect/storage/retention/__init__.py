"""Bounds of what is kept: payloads, what was rejected or set aside."""
