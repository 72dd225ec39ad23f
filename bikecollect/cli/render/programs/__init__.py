"""What programs read: metrics of the status, and JSON of status and archive."""
