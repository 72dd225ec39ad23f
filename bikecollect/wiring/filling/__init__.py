"""After a loss: what `backfill` has brought back, and what is lost for good."""
