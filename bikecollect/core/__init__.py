"""Values and words that all packages use: slots, runs, payloads, incidents, errors."""
