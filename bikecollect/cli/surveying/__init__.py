"""What `status` finds out: systems of one settings file, of several, and of mirrors."""
