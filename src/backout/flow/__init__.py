"""One use case a module, named as its command; sequence only."""
