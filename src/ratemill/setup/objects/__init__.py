"""One short file for each set-up object: what it is called, what it holds, what it must obey."""
