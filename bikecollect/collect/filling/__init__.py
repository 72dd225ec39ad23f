"""The parts of a backfill: its results, and payloads of rows from another archive."""
