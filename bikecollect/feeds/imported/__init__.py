"""Rows imported from another archive, as documents in payloads of any dialect."""
