"""Fetch the payload of a run, at a time that is known to be right."""
