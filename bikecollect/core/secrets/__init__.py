"""Secrets: how to recognise them, and how to take them out of a text."""
