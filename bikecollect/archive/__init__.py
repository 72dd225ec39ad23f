"""Closed days: Parquet, certificates, compaction, verification, views."""
