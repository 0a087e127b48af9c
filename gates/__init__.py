"""Quality gates are suites of expectations that stand between two stages.

What is not proven good does not pass.
"""
