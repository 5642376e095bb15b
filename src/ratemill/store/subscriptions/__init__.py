"""Subscription objects: imports and their jobs, objects, pages, services."""
