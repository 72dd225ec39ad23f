"""What commands show: text for people, JSON and metrics for programs."""
