"""The only place that knows all real parts."""
