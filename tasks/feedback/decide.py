"""Decides what follows from what came back: nothing, a retraining, or a question to a person.

| what came back | decision |
|---|---|
| fewer fresh rows than `gates.live.min_rows` | nothing |
| enough rows, and no model is promoted | ask |
| rows that do not fit or are not new, or nobody knows whether they are | ask |
| enough truths, and the champion is certainly worse on them than it was when judged | retrain |
| enough truths, and it is not worse | nothing |
| enough truths, and its figure cannot be computed | ask |
| too few truths, and rows unlike those it learned from, or nobody knows whether they are | ask |
| too few truths, and rows like those it learned from | nothing |
| a retraining on these very rows was stopped by a gate before | ask, instead of retrain |
"""

from dataclasses import dataclass
from typing import Literal

from tasks.feedback.measure import Verdict as Figures
from tasks.feedback.watch import Verdict as Gates

Decision = Literal["nothing", "retrain", "roll back", "ask"]


@dataclass(frozen=True)
class Facts:
    """What a decision is made of.

    Attributes:
        champion: Whether a model is promoted.
        rows: Fresh rows.
        live: Whether they fit and are new.
        drift: Whether they are like what the champion learned from.
        figure: Whether the champion is worse on those with a truth; "not asked" where these are too
            few.
        stopped: Why a retraining on these very rows was stopped before; None if none was.
    """

    champion: bool
    rows: int
    live: Gates
    drift: Gates
    figure: Figures
    stopped: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A decision, and why."""

    decision: Decision
    reason: str


def decide(facts: Facts, min_rows: int) -> Verdict:
    """Decide; whatever was not computed is never taken for good."""
    if facts.rows < min_rows:
        return Verdict("nothing", f"{facts.rows} fresh rows, of {min_rows} from which it counts")
    if not facts.champion:
        return Verdict("ask", "rows came back, and no model is promoted that they could be of")
    if facts.live != "green":
        return Verdict("ask", f"the live gate is {facts.live}")
    if facts.figure == "worse":
        if facts.stopped is not None:
            return Verdict("ask", f"a retraining on these rows was stopped before: {facts.stopped}")
        return Verdict("retrain", "the champion is certainly worse on fresh rows")
    if facts.figure == "not worse":
        return Verdict("nothing", "the champion is not certainly worse on fresh rows")
    if facts.figure == "not computed":
        return Verdict("ask", "the champion's figure on fresh rows could not be computed")
    if facts.drift == "green":
        return Verdict("nothing", "too few truths to measure, and no drift")
    if facts.drift == "red":
        return Verdict("ask", "fresh rows are unlike those that were learned from; send truths")
    return Verdict("ask", f"too few truths to measure, and drift is {facts.drift}")
