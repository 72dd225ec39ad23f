"""The facts of a system (zone, interval, columns), kept in its folder."""
