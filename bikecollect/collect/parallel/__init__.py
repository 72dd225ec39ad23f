"""Many systems in one call: threads that wait for feeds, fair to each host."""
