"""Settings, catalogue, first run, probe, doctor, cron, systemd."""
