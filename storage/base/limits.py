"""Bounds that learning and asking share, so that what is learned can also be asked."""

MAX_PIXELS = 50_000_000
"""Most pixels of a picture, before it is brought to the size that a model takes."""
