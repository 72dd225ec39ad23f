"""From a run to signals, incidents, and mail, webhook, command or ping."""
