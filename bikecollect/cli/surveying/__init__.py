"""Survey the systems of one settings file, of several, and of mirrors, for `status`."""
