"""backout.toml: found, read and checked, or refused with the place of the mistake (design, section 7)."""
