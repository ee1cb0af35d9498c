"""Know what a change will do before it does it. Take back exactly what it did. Let nothing bite twice."""

__version__ = "0.1.0"
