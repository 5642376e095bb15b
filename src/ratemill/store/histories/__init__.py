"""Import histories: requests of usage, batches of characteristics, imports of subscription objects."""
