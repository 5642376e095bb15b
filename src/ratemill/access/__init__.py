"""Access to an installation: tokens, owners by name, and the database, opened, checked or deleted."""
