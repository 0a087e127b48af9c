"""Lepton beside its peers: `make bench`. Every figure in RESULTS.md is written by a command, none
by hand.
"""
