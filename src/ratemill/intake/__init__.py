"""Accept, claim, conduct and supervise: how a submission gets from the face to its charges."""
