"""A simulated city, served as a live feed."""
