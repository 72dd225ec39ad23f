"""The five-minute path, and backfill by the same path."""
