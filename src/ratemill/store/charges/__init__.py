"""What became of usage: charges, exceptions, duplicate keys, write-offs, reprocesses, the audit."""
