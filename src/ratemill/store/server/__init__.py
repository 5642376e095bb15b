"""Reaching a PostgreSQL server: DSNs, bounded waits, presence, the causes of its errors."""
