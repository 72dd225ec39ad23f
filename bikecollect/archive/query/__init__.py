"""One view over the whole history, and SQL that only reads it."""
