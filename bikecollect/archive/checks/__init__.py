"""Parts of the verification of a system."""
