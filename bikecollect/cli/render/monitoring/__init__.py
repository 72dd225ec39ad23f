"""The status of systems for monitoring software."""
