"""Quality gates: suites of expectations between two stages; what is not proven good does not pass."""
