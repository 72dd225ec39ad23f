"""Files: durable writing, locks, and reading only what other users cannot replace."""
