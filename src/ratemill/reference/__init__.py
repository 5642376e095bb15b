"""UserX items and subscription records: parse, validate, resolve; pure."""
