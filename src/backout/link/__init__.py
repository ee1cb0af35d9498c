"""Reaching a host by the wire protocol only, locally too."""
