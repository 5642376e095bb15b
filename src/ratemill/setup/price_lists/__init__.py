"""Price lists in bulk."""
