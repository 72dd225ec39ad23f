"""What a response has: its body, within limits, and its headers."""
