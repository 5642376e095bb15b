"""What usage meets of the set-up: price book, feeds, data profiles and their versions."""
