"""How a system's days and slots are cut, and since when: zones, grids, facts."""
