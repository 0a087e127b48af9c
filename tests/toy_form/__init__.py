"""Adds a form and an objective: pairs of small vectors, of which one is larger.

Every module adds rows to the tables of the floor that it is named after; nothing of Lepton knows of
them but by these rows. `LEPTON_PLUGINS=tests.toy_form` finds it.
"""
