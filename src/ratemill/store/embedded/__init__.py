"""The embedded PostgreSQL: account, data folder, process, server and upgrade."""
