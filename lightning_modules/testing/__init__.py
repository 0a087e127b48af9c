"""Contract suites that authors of forms and objectives subclass; they need pytest."""
