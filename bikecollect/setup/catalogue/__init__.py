"""The catalogue: the built-in systems, and MobilityData's list on request."""
