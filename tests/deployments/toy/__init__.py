"""A plug-in with a form and an objective of its own, as a stranger would write it."""
