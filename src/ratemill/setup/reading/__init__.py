"""Set-up objects read back: shown, searched, paged, with their parts and users."""
