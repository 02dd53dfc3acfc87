"""The desk: the HTTP API and the pages."""
