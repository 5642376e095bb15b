"""One file a migration; those that have been released never change."""
