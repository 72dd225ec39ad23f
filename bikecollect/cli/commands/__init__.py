"""One module per command, called like it."""
