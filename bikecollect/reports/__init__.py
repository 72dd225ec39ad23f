"""Coverage and causes, health, the SQL reports, export."""
