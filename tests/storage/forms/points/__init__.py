"""A plug-in with a form of its own, as a stranger would write it."""
