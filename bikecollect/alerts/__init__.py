"""Alerts: from runs to signals, incidents, mails, webhooks, commands and pings."""
