"""What every command shares: settings, the database, printed tables."""
