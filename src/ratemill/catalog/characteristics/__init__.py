"""Characteristics: their items, lists and fields."""
