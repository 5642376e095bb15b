"""The wire dialects, authentication and the command line: read a request, call one verb, write the answer."""
