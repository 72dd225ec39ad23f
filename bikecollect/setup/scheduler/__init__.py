"""What runs bikecollect every few minutes: cron, or systemd and its user."""
