"""A module of a user's own that cannot be imported."""

raise RuntimeError("this package needs a licence")
