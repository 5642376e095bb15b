"""The migrations, one a change of the schema, run by Alembic."""
