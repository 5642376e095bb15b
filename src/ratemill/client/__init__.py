"""The HTTP client: requests of 1,000, keys, retries."""
