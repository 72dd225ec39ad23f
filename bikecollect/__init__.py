"""Collect the history of bike-share systems and account for every slot."""

__version__ = "0.1.0"
