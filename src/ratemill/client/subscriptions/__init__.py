"""Import subscription objects: send a file whole and follow its import."""
