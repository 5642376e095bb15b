"""``ratemill demo``: rate a cloud bill and a telecom day in an installation of its own."""
