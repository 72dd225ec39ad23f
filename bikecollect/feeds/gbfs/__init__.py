"""GBFS, 1.0 to 3.x: which documents are fetched, from where, and how they are read."""
