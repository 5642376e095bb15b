"""Data profiles: read from a document, declared, written back; their formulas, patterns and targets."""
