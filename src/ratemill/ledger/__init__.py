"""What happened: history, trace, exceptions, reprocess, charges and the audit."""
