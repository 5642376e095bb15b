"""Set-up over HTTP: read, search and write objects; price lists, lint, profile versions."""
