"""Ending a command that cannot go on."""
