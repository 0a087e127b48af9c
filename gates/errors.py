"""What the gates refuse.

GateError
├── SuiteError        a suite or its facts cannot be judged as they were given
└── UnmergeableError  an expectation has no exact answer over shards
"""


class GateError(Exception):
    """Base of every error that the gates raise."""


class SuiteError(GateError):
    """A suite, or the facts handed to it, are not what the gate needs.

    That is a mistake of the caller, never of a bad data set.
    """


class UnmergeableError(GateError):
    """A metric has no exact answer over shards; it is refused by name, not approximated."""
