"""Reading a payload in the light of what the ledger knows of its system."""
