"""Secrets: what is one, and texts without them."""
