"""The dataset of single vehicles: the format of its rows."""

ALONE = "no-stations"
"""The flag of a vehicle block that accounts for a slot, as there are no stations."""
