"""Bigger engines: the reports' SQL with the views that it reads, over the archive."""
