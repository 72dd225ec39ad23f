"""Secrets: how to recognise them, and how to remove them from a text."""
