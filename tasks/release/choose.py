"""Which artifact a channel gets: the first that it prefers and that meets all of its demands.

A candidate is looked at on the rows of its trial first. One that passes there answers the held-out
rows, and the artifact gate's own rules are asked: where they refuse it, the next one's turn comes.
A channel that gets none stops alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from deployments.targets.specs import DeviceClass, TargetSpec, takes_least
from gates.specs.artifact import ArtifactGate
from tasks.gates.device_classes import ClassDemands, list_demands
from tasks.release.bench import Candidate
from tasks.release.trial import Loss

Refuse = Callable[[Candidate, ClassDemands], Sequence[str]]
"""From a candidate and what a class asks to what the gates have against it."""


@dataclass(frozen=True)
class Demands:
    """What a channel asks of its artifact.

    Attributes:
        prefer: Names of artifacts, best first.
        classes: What it asks on each class of devices.
        by_cost: Whether what was made is looked at by its latency times its size, least first,
            instead of by preference.
    """

    prefer: tuple[str, ...]
    classes: tuple[ClassDemands, ...]
    by_cost: bool = False

    @classmethod
    def of(
        cls,
        target: TargetSpec,
        limits: ArtifactGate,
        described: Mapping[str, DeviceClass] = MappingProxyType({}),
    ) -> "Demands":
        """Return the demands of a channel's target, by the recipe's artifact gate and classes."""
        return cls(
            prefer=target.prefer,
            classes=list_demands(target, described, limits),
            by_cost=takes_least(target, described),
        )

    def order(self, candidates: Sequence[Candidate]) -> tuple[str, ...]:
        """Return the names of artifacts in the order in which they are looked at."""
        if not self.by_cost:
            return self.prefer
        return tuple(each.name for each in sorted(candidates, key=self._measure_cost))

    def find_faults(self, candidate: Candidate, refuse: Refuse) -> list[str]:
        """List what is against a candidate; the gates are asked of one that passed its trial."""
        several = len(self.classes) > 1
        tried = [find_faults(each, candidate) for each in self.classes]
        if not any(tried):
            tried = [
                [f"refused on held-out rows: {why}" for why in refuse(candidate, each)]
                for each in self.classes
            ]
        return [
            f"class {each.name}: {fault}" if several else fault
            for each, faults in zip(self.classes, tried, strict=True)
            for fault in faults
        ]

    def _measure_cost(self, candidate: Candidate) -> tuple[float, str]:
        """Return latency times size, on the class that is slowest; equal ones go by name."""
        latency_ms = max(candidate.find_cost(each.key).latency_ms_p50 for each in self.classes)
        return latency_ms * candidate.measured.size_bytes, candidate.name


@dataclass(frozen=True)
class Choice:
    """What a channel gets, and why not what it prefers.

    Attributes:
        channel: Name of the channel.
        candidate: What it gets; None: nothing that it would take holds up.
        passed_over: What is against each artifact that it prefers to that, by its name.
        by_cost: Whether it goes by latency times size.
    """

    channel: str
    candidate: Candidate | None
    passed_over: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_cost: bool = False

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
        refuse: Asks the gates about a candidate, on held-out rows, for one class of devices.
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
        faults = demands.find_faults(candidate, refuse)
        if not faults:
            return Choice(channel, candidate, passed_over, demands.by_cost)
        passed_over[name] = faults
    return Choice(channel, None, passed_over, demands.by_cost)


def explain(candidate: Candidate, choices: Sequence[Choice]) -> str:
    """Say why channels that prefer a candidate did not get it; empty where none does."""
    return "; ".join(
        f"not for {choice.channel}: {'; '.join(choice.passed_over[candidate.name])}"
        for choice in choices
        if candidate.name in choice.passed_over
    )


def list_passed_over(candidate: Candidate, choices: Sequence[Choice]) -> dict[str, tuple[str, ...]]:
    """Return why each channel that did not get a candidate did not get it, by channel."""
    found: dict[str, tuple[str, ...]] = {}
    for choice in choices:
        winner = choice.candidate
        if candidate.name in choice.passed_over:
            found[choice.channel] = tuple(choice.passed_over[candidate.name])
        elif winner is None:
            found[choice.channel] = ("it is not among those that the channel prefers",)
        elif winner.name != candidate.name:
            why = "costs less latency times size" if choice.by_cost else "is preferred"
            found[choice.channel] = (f"{winner.name} meets all demands and {why}",)
    return found


def find_faults(asked: ClassDemands, candidate: Candidate) -> list[str]:
    """List the demands of a class that a candidate does not meet: rule, observed, limit."""
    measured, gate, device = candidate.find_cost(asked.key), asked.limits, asked.device
    lost = "relative increase of the error" if candidate.is_error else "accuracy drop"
    most_lost = gate.max_error_increase if candidate.is_error else gate.max_accuracy_drop
    limits: list[tuple[str, float | None, float | None]] = [
        ("size in bytes", candidate.measured.size_bytes, gate.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, gate.max_latency_ms_p50),
        ("p99 latency in ms", measured.latency_ms_p99, device.max_latency_ms_p99),
        ("memory in bytes", measured.memory_bytes, device.max_memory_bytes),
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
