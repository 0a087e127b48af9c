"""Which artifact a channel gets: the first that it prefers and that meets all of its demands.

A candidate is looked at on the rows of its trial first. One that passes there answers the held-out
rows, and the artifact gate's own rules are asked: where they refuse it, the next one's turn comes.
A channel that gets none stops alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deployments.targets.specs import TargetSpec
from gates.specs.artifact import ArtifactGate
from tasks.gates.artifact import limit_channel
from tasks.release.bench import Candidate
from tasks.release.trial import Loss

Refuse = Callable[[Candidate, ArtifactGate], tuple[str, ...]]
"""From a candidate and a channel's limits to what the artifact gate has against it."""


@dataclass(frozen=True)
class Demands:
    """What a channel asks of its artifact.

    Attributes:
        prefer: Names of artifacts, best first.
        limits: Of the artifact gate, with the target's own in place.
        max_memory_bytes: Largest growth of a process that loads the artifact; None: any.
        max_latency_ms_p99: Largest time that 99 of 100 answers to one row keep to; None: any.
        by_cost: Whether what was made is looked at by its latency times its size, least first,
            instead of by preference.
    """

    prefer: tuple[str, ...]
    limits: ArtifactGate
    max_memory_bytes: int | None
    max_latency_ms_p99: float | None = None
    by_cost: bool = False

    @classmethod
    def of(cls, target: TargetSpec, limits: ArtifactGate) -> "Demands":
        """Return the demands of a channel's target, by the recipe's artifact gate."""
        return cls(
            prefer=target.prefer,
            limits=limit_channel(limits, target),
            max_memory_bytes=target.max_memory_bytes,
            max_latency_ms_p99=target.max_latency_ms_p99,
            by_cost=target.choose == "least",
        )

    def order(self, candidates: Sequence[Candidate]) -> tuple[str, ...]:
        """Return the names of artifacts in the order in which they are looked at."""
        if not self.by_cost:
            return self.prefer
        return tuple(each.name for each in sorted(candidates, key=_measure_cost))


@dataclass(frozen=True)
class Choice:
    """What a channel gets, and why not what it prefers.

    Attributes:
        channel: Name of the channel.
        candidate: What it gets; None: nothing that it would take holds up.
        passed_over: What is against each artifact that it prefers to that, by its name.
    """

    channel: str
    candidate: Candidate | None
    passed_over: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences on all that was passed over."""
        return tuple(
            f"{name} on {self.channel}: {fault}"
            for name, faults in self.passed_over.items()
            for fault in faults
        )


def choose(
    channel: str,
    demands: Demands,
    candidates: Sequence[Candidate],
    refuse: Refuse,
    not_made: Mapping[str, str] | None = None,
) -> Choice:
    """Return the first of the channel's preferred artifacts that meets all of its demands.

    Args:
        channel: Name of the channel.
        demands: What it asks.
        candidates: What was made.
        refuse: Asks the artifact gate about a candidate, on held-out rows.
        not_made: Why there is none, by candidate.
    """
    made = {candidate.name: candidate for candidate in candidates}
    passed_over: dict[str, Sequence[str]] = {}
    for name in demands.order(candidates):
        candidate = made.get(name)
        if candidate is None:
            why = (not_made or {}).get(name)
            remedy = f"{why}; prefer another" if why else "add it to compress.candidates"
            passed_over[name] = [f"it must be among what is made; got {', '.join(made)}; {remedy}"]
            continue
        faults = _find_faults(demands, candidate) or [
            f"refused on held-out rows: {reason}" for reason in refuse(candidate, demands.limits)
        ]
        if not faults:
            return Choice(channel, candidate, passed_over)
        passed_over[name] = faults
    return Choice(channel, None, passed_over)


def explain(candidate: Candidate, choices: Sequence[Choice]) -> str:
    """Say why channels that prefer a candidate did not get it; empty where none does."""
    return "; ".join(
        f"not for {choice.channel}: {'; '.join(choice.passed_over[candidate.name])}"
        for choice in choices
        if candidate.name in choice.passed_over
    )


def _measure_cost(candidate: Candidate) -> tuple[float, str]:
    """Return the latency of an artifact times its size; equal ones go by name."""
    measured = candidate.measured
    return measured.latency_ms_p50 * measured.size_bytes, candidate.name


def _find_faults(demands: Demands, candidate: Candidate) -> list[str]:
    """List the demands of a channel that a candidate does not meet: rule, observed, limit."""
    measured, gate = candidate.measured, demands.limits
    lost = "relative increase of the error" if candidate.is_error else "accuracy drop"
    most_lost = gate.max_error_increase if candidate.is_error else gate.max_accuracy_drop
    limits: list[tuple[str, float | None, float | None]] = [
        ("size in bytes", measured.size_bytes, gate.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, gate.max_latency_ms_p50),
        ("p99 latency in ms", measured.latency_ms_p99, demands.max_latency_ms_p99),
        ("memory in bytes", measured.memory_bytes, demands.max_memory_bytes),
    ]
    return [
        *_doubt(lost, candidate.lost, most_lost),
        *_doubt("disagreement with the float model", candidate.differing, 1 - gate.min_agreement),
        *(
            f"{what} must be at most {limit:.6g}; got "
            f"{'no figure' if observed is None else format(observed, '.6g')}"
            for what, observed, limit in limits
            if limit is not None and (observed is None or not observed <= limit)
        ),
    ]


def _doubt(what: str, loss: Loss, limit: float) -> list[str]:
    """Say that a loss may be above a limit; nothing where it is surely not.

    A score that the rows of the trial do not define, such as an average precision without a
    positive row, is left to the held-out rows.
    """
    if loss.seen != loss.seen or loss.most <= limit + 1e-12:
        return []
    over = loss.seen > limit
    chance = "" if over else f", which may be {loss.most:.6g} by chance"
    return [f"{what} must be at most {limit:.6g}; got {loss.seen:.6g} on {loss.rows} rows{chance}"]
