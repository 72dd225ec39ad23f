"""TDX, the platform of Taiwan's ministry of transport, for all of its cities."""
