"""PostgreSQL: the embedded server, connections, schema, migrations and one query file a noun."""
