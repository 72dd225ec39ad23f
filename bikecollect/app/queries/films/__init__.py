"""Days as films: every station in every slot, and what is usual at each hour."""
