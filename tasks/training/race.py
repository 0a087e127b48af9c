"""A race of networks by successive halving: cheap trials of all, longer ones of those that lead.

After Jamieson and Talwalkar (2016): rounds have shares of one budget, and a third goes on. Who is
fitted at once is fitted whole in the first round, and stays in. Everything is planned by estimated
costs, so that load does not decide: the same data and the same seed have the same winner, unless a
machine is so slow that a trial costs several times its share, which ends it, or a round the whole
budget, which ends the race.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lightning_modules.specs.entrants import Entrant, find_default
from lightning_modules.specs.trial import FOLDS, Bounds, Measured, Survey
from tasks.training.heat import Begun

SHARES, KEPT = (0.25, 0.25, 0.5), 3
"""Of the budget: of each round. The last one is the longest, so that a network that learns slowly
has had its time before it is held against what is fitted at once."""
LEAST_STEPS = 30
"""Optimizer steps below which a network shows nothing of itself."""
DEAREST = 8.0
"""How many times the budget the winner's whole training may be estimated to cost."""
OVERRUN, SPARE_S = 3.0, 20.0
"""How much more than its share a trial may cost, for a machine that is slower than was thought."""
MOST_ROWS, MOST_NUMBERS = 60_000, 6_000_000
JUDGED = 16
LEAST_ROTATIONS, REPEATED_ROWS = 2, 1000
"""Turns below which folds say no more than one split; rows below which they are dealt twice."""
MOST_CROSSED_ROWS, CROSSED_MINUTES = 20_000, 2.5
FINALISTS, FIT_S = 2, 0.5
"""Families of those fitted at once that are finalists; what any training costs besides its steps,
in seconds."""
Found = tuple[Entrant, Measured]

RunTrials = Callable[[Sequence[tuple[Entrant, Bounds]]], Sequence[Measured | str]]


@dataclass(frozen=True)
class Field:
    """What is raced on.

    Attributes:
        batches: Batches of the training rows.
        batch_rows: Rows of a batch.
        numbers: Numbers of a sample.
        max_epochs: Epochs of a whole training.
        budget_s: Processor time that the race may cost, in seconds.
        crossed_rows: Training and validation rows that may be dealt to folds; 0 where they may not,
            as they are many, or not alike.
    """

    batches: int
    batch_rows: int
    numbers: int
    max_epochs: int
    budget_s: float
    crossed_rows: int = 0


def choose_budget(
    rows: int, numbers: int, minutes: float | None, *, crossed: bool = False
) -> float:
    """Return the processor time of a race in seconds: what was said, or by the size of the rows.

    Args:
        rows: Training rows.
        numbers: Numbers of a sample.
        minutes: What the recipe says.
        crossed: Whether finalists are trained in turns on folds.
    """
    if minutes is not None:
        return 60 * minutes
    return 60 * min(3.0, (CROSSED_MINUTES if crossed else 1.0) + rows * numbers / 4e6)


class Race:
    """Keeps a race: who is in, and what they came to.

    Args:
        field: What is raced on.
        run: Carries out trials side by side; a text is why one failed.

    Attributes:
        begun: Every trial, in order.
    """

    def __init__(self, field: Field, run: RunTrials) -> None:
        self.field = field
        self.begun: list[Begun] = []
        self._run = run
        self._spent_s = 0.0
        self._default: Entrant | None = None

    def decide(
        self, entrants: Sequence[Entrant], surveys: Sequence[Survey | str]
    ) -> Entrant | None:
        """Return the winner; None where every trial failed.

        Args:
            entrants: Who takes part.
            surveys: What each would cost, or why it cannot be built.
        """
        known: list[tuple[Entrant, Survey]] = []
        for entrant, survey in zip(entrants, surveys, strict=True):
            if isinstance(survey, str):
                self.begun.append(Begun(entrant.name, 1, survey))
            else:
                known.append((entrant, survey))
        # Ties go to the simpler one, which is cheaper on a device.
        known.sort(key=lambda pair: (not pair[1].at_once, pair[1].parameters))
        self._default = find_default(entrants)
        fitted = self._try(1, [(each, self._bound_fit()) for each, s in known if s.at_once])
        networks = self._refuse_dear([pair for pair in known if not pair[1].at_once])
        if self._may_cross(networks):
            found = self._cross(fitted, networks)
        else:
            found = [*fitted, *self._halve(networks)]
        return min(found, key=lambda pair: rank(pair[1]), default=(None,))[0]

    def _may_cross(self, networks: list[tuple[Entrant, Survey]]) -> bool:
        """Return whether there are few rows, and time for what must be a finalist."""
        own = [survey for each, survey in networks if each == self._default]
        costs = map(self._cost_rotation, own or [survey for _, survey in networks][:1])
        least_s = LEAST_ROTATIONS * (sum(costs) + FINALISTS * FIT_S)
        return bool(self.field.crossed_rows) and least_s <= self._left_s

    @property
    def _left_s(self) -> float:
        """What is left for turns on folds behind the first round, in seconds."""
        return self.field.budget_s * (1 - SHARES[0])

    def _cost_rotation(self, survey: Survey) -> float:
        """Return what one whole training on folds is estimated at, in seconds."""
        rows = self.field.crossed_rows * (FOLDS - 2) / FOLDS
        batches = max(1, int(rows / self.field.batch_rows))
        return FIT_S + self.field.max_epochs * batches * survey.step_s

    def _cross(self, fitted: list[Found], networks: list[tuple[Entrant, Survey]]) -> list[Found]:
        """Return the finalists, with what they came to in turns on folds."""
        share_s = self.field.budget_s * SHARES[0] / max(1, len(networks))
        tried = self._try(1, [(each, self._bound(survey, share_s)) for each, survey in networks])
        known = {each.name: survey for each, survey in networks}
        trained = self._choose_trained(tried, known)
        costs = {each.name: self._cost_rotation(known[each.name]) for each in trained}
        turns = FOLDS * (2 if self.field.crossed_rows < REPEATED_ROWS else 1)
        at_once = self._choose_fitted(fitted)
        turns = min(turns, int(self._left_s / (sum(costs.values()) + FINALISTS * FIT_S)))
        finalists = [*at_once, *trained]
        limits = {name: OVERRUN * turns * cost_s + SPARE_S for name, cost_s in costs.items()}
        bounds = [
            (each, Bounds(self.field.max_epochs, 0, 0, limits.get(each.name, math.inf), turns))
            for each in finalists
        ]
        # Where every finalist fails, the short trials are what is known.
        return self._try(2, bounds) or [*fitted, *tried]

    def _choose_trained(self, tried: list[Found], known: Mapping[str, Survey]) -> list[Entrant]:
        """Return the default family and the best other network, if there is time for both."""
        best = [each for each, _ in sorted(tried, key=lambda pair: rank(pair[1]))]
        own = [each for each in best if each == self._default]
        for other in [each for each in best if each != self._default][:1]:
            both = [*own, other]
            cost_s = sum(self._cost_rotation(known[each.name]) for each in both)
            cost_s += FINALISTS * FIT_S
            if LEAST_ROTATIONS * cost_s <= self._left_s:
                return both
        return own

    @staticmethod
    def _choose_fitted(fitted: list[Found]) -> list[Entrant]:
        """Return the best of each family of those that are fitted at once, of the best families."""
        found: dict[str, Entrant] = {}
        for each, _ in sorted(fitted, key=lambda pair: rank(pair[1])):
            found.setdefault(each.model.network.family, each)
        return list(found.values())[:FINALISTS]

    def _halve(self, networks: list[tuple[Entrant, Survey]]) -> list[Found]:
        """Return who came to the last round, with what they came to there.

        The family that a recipe would get without a word is among them.
        """
        left, found = networks, list[Found]()
        for number, share in enumerate(SHARES, start=1):
            if not left or (found and self._spent_s > self.field.budget_s):
                break
            share_s = self.field.budget_s * share / len(left)
            bounds = [(each, self._bound(survey, share_s)) for each, survey in left]
            found = self._try(number, bounds)
            whole = all(bound.batches * bound.epochs >= self._full for _, bound in bounds)
            best = sorted(found, key=lambda pair: rank(pair[1]))
            kept = {each.name for each, _ in best[: math.ceil(len(best) / KEPT)]}
            kept |= {each.name for each, _ in found if each == self._default}
            left = [pair for pair in left if pair[0].name in kept]
            if whole or (len(found) == 1 and number > 1):
                break
        return found

    @property
    def _full(self) -> int:
        return self.field.max_epochs * self.field.batches

    def _refuse_dear(self, networks: list[tuple[Entrant, Survey]]) -> list[tuple[Entrant, Survey]]:
        """Return the networks whose first trials and whole training are within the budget."""
        budget_s, left = self.field.budget_s, sorted(networks, key=lambda pair: pair[1].step_s)
        while left:
            entrant, survey = left[-1]
            first_s = min(LEAST_STEPS, self._full) * survey.step_s
            whole_s = self._full * survey.step_s
            if first_s <= budget_s * SHARES[0] / len(left) and whole_s <= DEAREST * budget_s:
                break
            left.pop()
            reason = (
                f"not begun: its training is estimated at {whole_s / 60:.3g} minutes of one core, "
                f"too long for a race of {budget_s / 60:.3g}; raise train.budget_minutes, or name "
                "the family"
            )
            self.begun.append(Begun(entrant.name, 1, reason))
        return [pair for pair in networks if pair in left]

    def _bound_fit(self) -> Bounds:
        rows = min(MOST_ROWS, MOST_NUMBERS // max(1, self.field.numbers))
        batches = max(1, min(self.field.batches, rows // self.field.batch_rows))
        return Bounds(1, batches, JUDGED, math.inf)

    def _bound(self, survey: Survey, share_s: float) -> Bounds:
        steps = min(self._full, max(LEAST_STEPS, int(share_s / survey.step_s)))
        batches = min(self.field.batches, steps)
        limit_s = OVERRUN * share_s + SPARE_S
        return Bounds(max(1, steps // batches), batches, JUDGED, limit_s)

    def _try(self, number: int, trials: Sequence[tuple[Entrant, Bounds]]) -> list[Found]:
        """Return the trials of a round that did not fail, with what they came to."""
        done = []
        for (entrant, _), measured in zip(trials, self._run(trials), strict=True):
            self.begun.append(Begun(entrant.name, number, measured))
            if not isinstance(measured, str):
                self._spent_s += measured.cpu_s
                done.append((entrant, measured))
        return done


def rank(measured: Measured) -> tuple[float, float]:
    """Return what trials are sorted by, the best first: the figure, then the loss."""
    value = measured.value if measured.direction == "lower" else -measured.value
    loss = measured.loss
    return (
        value if math.isfinite(value) else math.inf,
        loss if math.isfinite(loss) else math.inf,
    )
