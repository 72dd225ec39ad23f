"""The data app's charts and its map."""
