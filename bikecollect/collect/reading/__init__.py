"""Read a payload, using what the ledger knows about its system."""
