"""A terminal of ours: runs a shell on it, passes everything on, and hears the marks that tell of its commands.

It knows nothing of incidents: what it hears, it hands on.
"""
