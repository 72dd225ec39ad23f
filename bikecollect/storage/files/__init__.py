"""Files: written durably, and read only if no other user can replace them."""
