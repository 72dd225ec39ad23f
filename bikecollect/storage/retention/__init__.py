"""Limits of kept and rejected payloads and of files that were set aside."""
