"""TDX: the open data platform of Taiwan's ministry of transport, for all cities."""
