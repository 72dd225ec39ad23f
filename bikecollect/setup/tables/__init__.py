"""The tables of the settings file but those of the systems, and checks of values."""
