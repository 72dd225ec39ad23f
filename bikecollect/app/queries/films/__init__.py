"""Days as films: every station in every slot, and the usual counts of each hour."""
