"""What the dialects share: JSON, fields by their names, values, stamps, stations."""
