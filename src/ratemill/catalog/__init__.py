"""Characteristics and subscription objects, read and changed one at a time."""
