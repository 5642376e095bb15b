"""The HTTP API in every dialect: read a request, call one function, write the answer."""
