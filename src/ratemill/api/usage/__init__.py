"""Usage over HTTP: import it, read charges, exceptions and histories, correct what was refused."""
