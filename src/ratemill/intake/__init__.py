"""Accept, claim, conduct and supervise: how a submission gets from the API to its charges."""
