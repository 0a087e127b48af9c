"""The artifacts of a network: one file a rung of the ladder, in one table."""
