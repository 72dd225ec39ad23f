"""Defects of a publisher's JSON that are mended before it is decoded."""
