"""What set-up objects are held to."""
