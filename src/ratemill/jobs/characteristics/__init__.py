"""The job of a batch of characteristics, one module for each pass."""
