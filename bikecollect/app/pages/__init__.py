"""The data app's pages, a module each."""
