"""Runs in the ledger: as rows, and packed by day."""
