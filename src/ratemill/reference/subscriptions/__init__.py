"""Subscription objects: lines, references, values, offerings and terms, upserts."""
