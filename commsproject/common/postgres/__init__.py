"""Django's PostgreSQL, as the service sees it: `ENGINE` of the settings."""
