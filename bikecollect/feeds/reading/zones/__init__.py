"""The zone of stamps that should have one and have none."""
