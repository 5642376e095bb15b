"""Characteristics over HTTP: items, lists, fields, batches and their jobs."""
