"""The set-up: pages, searches, the log of changes, prices, feeds, data profiles."""
