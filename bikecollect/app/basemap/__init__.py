"""A user's basemap: read from a file, fitted to the city, and kept beside its data."""
