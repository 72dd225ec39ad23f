"""The dataset of single vehicles: how its rows are written."""

ALONE = "no-stations"
"""The flag of a block whose payload has no stations: it accounts for the slot."""
