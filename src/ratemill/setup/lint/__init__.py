"""What is likely a mistake in a rate plan."""
