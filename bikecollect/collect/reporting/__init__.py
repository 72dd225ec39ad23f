"""What a call of `fetch` says itself of its runs: lines of the log, and a ping."""
