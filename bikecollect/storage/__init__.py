"""One system's folder: payloads, daily CSV, ledger, lock, recovery."""
