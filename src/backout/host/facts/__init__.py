"""What holds on this host, as facts: one module a source. Reads only, and says what it could not read."""
