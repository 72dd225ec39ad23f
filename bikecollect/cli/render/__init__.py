"""The output of commands: text for people, JSON and metrics for programs."""
