"""A source -> the parts that are sent: its own bytes, or the same compressed."""
