"""The commands of `ratemill`, one file a family."""
