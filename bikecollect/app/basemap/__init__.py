"""A basemap of the user: read from a file, fitted to the city, kept beside its data."""
