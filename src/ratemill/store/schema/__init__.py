"""Every table of the product, one module a part of it."""
