"""GET with deadlines that hold, size caps and retries."""
