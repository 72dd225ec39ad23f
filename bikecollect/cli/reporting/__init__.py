"""The results of reports."""
