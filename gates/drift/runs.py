"""Judges whether more rows stand in long runs of one value than chance would put there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Runs:
    """How often a column of a version stands still.

    Attributes:
        rows: rows with a figure.
        repeats: rows that repeat the value before them.
        long_runs: runs that are long.
        stuck: rows inside such runs, behind their beginning.
        longest: how many repeats make a run long.
    """

    rows: int
    repeats: int
    long_runs: int
    stuck: int
    longest: int

    @property
    def share(self) -> float:
        """Share of the rows that are stuck."""
        return self.stuck / max(1, self.rows)


def measure_stuck_rise(accepted: Runs, current: Runs, p_value: float) -> float:
    """Return the rise of the share of stuck rows; 0 where chance may have made it.

    What is counted are runs, since their rows are not independent. With long runs before, both
    counts are compared, given their sum (Przyborowski and Wilenski, 1940). Without any, as many are
    expected as of values that repeat as often as the accepted ones do, each for itself.
    """
    from scipy.stats import binom, poisson

    rise = current.share - accepted.share
    if rise <= 0 or not accepted.rows or not current.long_runs:
        return 0.0
    if accepted.long_runs:
        both = accepted.long_runs + current.long_runs
        share = current.rows / (accepted.rows + current.rows)
        chance = float(binom.sf(current.long_runs - 1, both, share))
    else:
        repeated = accepted.repeats / accepted.rows
        expected = current.rows * (1 - repeated) * repeated**accepted.longest
        chance = float(poisson.sf(current.long_runs - 1, expected))
    return rise if chance < p_value else 0.0
