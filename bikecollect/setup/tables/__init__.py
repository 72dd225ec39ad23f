"""The tables of the settings file besides those of the systems."""
