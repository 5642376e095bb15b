"""The runner of the jobs that are not the usage path, one file a job."""
