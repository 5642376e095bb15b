"""Subscription objects: lines, attributes, offerings and terms, upserts."""
