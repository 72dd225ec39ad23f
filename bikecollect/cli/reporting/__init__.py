"""What `report`, `query` and `export` read of the history, and results of reports."""
