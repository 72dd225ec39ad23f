"""How a system's time is divided into days and slots: time zones, grids, facts."""
