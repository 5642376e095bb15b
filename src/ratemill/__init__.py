"""Ratemill: usage in by API, mediated and rated, every record accounted for."""
