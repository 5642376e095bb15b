"""Usage records and a price book become charges and rating exceptions; pure."""
