"""Which artifact a channel gets: the first that it prefers and that meets all of its demands."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.targets.specs import TargetSpec
from gates.specs.artifact import ArtifactGate
from tasks.gates.artifact import limit_channel
from tasks.release.bench import Candidate
from tasks.runtime.errors import StageStopped

SHARE_OF_LOSS = 0.5
"""Share of what the artifact gate allows to be lost that a candidate may lose on validation rows.

The gate judges the chosen one on held-out rows: chance between the two splits must not turn it red.
"""


@dataclass(frozen=True)
class Demands:
    """What a channel asks of its artifact.

    Attributes:
        prefer: Names of artifacts, best first.
        limits: Of the artifact gate, with the target's own in place.
        max_memory_bytes: Largest growth of a process that loads the artifact; None: any.
    """

    prefer: tuple[str, ...]
    limits: ArtifactGate
    max_memory_bytes: int | None

    @classmethod
    def of(cls, target: TargetSpec, limits: ArtifactGate) -> "Demands":
        """Return the demands of a channel's target, by the recipe's artifact gate."""
        return cls(target.prefer, limit_channel(limits, target), target.max_memory_bytes)


def choose(channel: str, demands: Demands, candidates: list[Candidate]) -> Candidate:
    """Return the first of the channel's preferred artifacts that meets all of its demands.

    Raises:
        StageStopped: None does.
    """
    made = {candidate.name: candidate for candidate in candidates}
    reasons = []
    for name in demands.prefer:
        candidate = made.get(name)
        if candidate is None:
            reasons.append(f"{name} must be among compress.candidates; got {', '.join(made)}")
            continue
        faults = _find_faults(demands, candidate)
        if not faults:
            return candidate
        reasons += [f"{name} on {channel}: {fault}" for fault in faults]
    raise StageStopped("compress", tuple(reasons))


def explain(
    candidate: Candidate, demands: Mapping[str, Demands], chosen: Mapping[str, Candidate]
) -> str:
    """Say why channels that prefer a candidate did not get it; empty where none does."""
    reasons = []
    for channel, asked in demands.items():
        prefer, name = asked.prefer, candidate.name
        if name in prefer and prefer.index(name) < prefer.index(chosen[channel].name):
            reasons.append(f"not for {channel}: {'; '.join(_find_faults(asked, candidate))}")
    return "; ".join(reasons)


def _find_faults(demands: Demands, candidate: Candidate) -> list[str]:
    """List the demands of a channel that a candidate does not meet: rule, observed, limit."""
    measured, gate = candidate.measured, demands.limits
    limits: list[tuple[str, float | None, float | None]] = [
        _limit_loss(gate, candidate),
        (
            "disagreement with the float model",
            1 - candidate.agreement,
            SHARE_OF_LOSS * (1 - gate.min_agreement),
        ),
        ("size in bytes", measured.size_bytes, gate.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, gate.max_latency_ms_p50),
        ("memory in bytes", measured.memory_bytes, demands.max_memory_bytes),
    ]
    return [
        f"{what} must be at most {limit:.6g}; got "
        f"{'no figure' if observed is None else format(observed, '.6g')}"
        for what, observed, limit in limits
        if limit is not None and (observed is None or observed > limit + 1e-12)
    ]


def _limit_loss(gate: ArtifactGate, candidate: Candidate) -> tuple[str, float, float]:
    """Return what a candidate lost to the float model, and what it may."""
    if not candidate.is_error:
        lost = candidate.reference - candidate.score
        return "accuracy drop", lost, SHARE_OF_LOSS * gate.max_accuracy_drop
    increase = candidate.score / max(candidate.reference, 1e-300) - 1
    limit = SHARE_OF_LOSS * gate.max_error_increase
    return "relative increase of the error", increase, limit
