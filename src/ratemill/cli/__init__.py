"""The command line: read arguments, call one function, print the result."""
