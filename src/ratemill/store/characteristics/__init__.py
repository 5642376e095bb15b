"""Characteristics: items, lists, fields, batches and their jobs."""
