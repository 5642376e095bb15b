"""Subscription objects: lines, values, terms, offerings, upserts."""
