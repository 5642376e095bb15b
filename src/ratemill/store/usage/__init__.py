"""Usage on its way: submissions, batches, workers, usage records."""
