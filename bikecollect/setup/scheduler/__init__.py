"""Schedulers that run `bikecollect fetch`: cron and systemd, with its service user."""
