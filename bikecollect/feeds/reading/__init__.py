"""Shared by the dialects: decode JSON, find fields, parse values, stamps, stations."""
