"""Set-up documents: text to entries, and back."""
