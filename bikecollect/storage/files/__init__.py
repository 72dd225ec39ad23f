"""Files: written durably, and read only where nobody else decides what they are."""
