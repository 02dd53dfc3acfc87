"""Records over the API: what may be sent, how it is written, listed and kept from being written twice."""
