"""Settings, catalogue, first run, trial of feeds, doctor, cron and systemd."""
