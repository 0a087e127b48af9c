"""Networks, one family a file; `factory.py` builds the one that a spec names."""
