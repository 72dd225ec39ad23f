"""The status of systems for programs: metrics for monitoring, and JSON."""
