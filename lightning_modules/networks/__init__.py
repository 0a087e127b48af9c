"""Networks, one family a file; `build.py` builds the one that a spec names."""
