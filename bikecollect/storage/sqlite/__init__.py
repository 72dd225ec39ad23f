"""The file of a ledger, its log, and reading it without writing."""
