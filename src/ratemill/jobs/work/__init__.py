"""What every kind of job shares: take the next table, and bisect one that failed."""
