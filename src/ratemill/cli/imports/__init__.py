"""``ratemill import``: one module for each kind of file."""
