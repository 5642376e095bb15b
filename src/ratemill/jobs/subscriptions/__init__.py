"""The job of an import of subscription objects."""
