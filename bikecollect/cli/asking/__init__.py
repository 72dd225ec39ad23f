"""The questions of `init`: at the terminal, about systems, and about mail."""
