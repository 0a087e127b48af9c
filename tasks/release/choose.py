"""Which artifact a channel gets: the first that it prefers and that meets all of its demands."""

from collections.abc import Mapping

from deployments.targets.specs import TargetSpec
from tasks.release.bench import Candidate
from tasks.runtime.errors import StageStopped


def choose(channel: str, target: TargetSpec, candidates: list[Candidate]) -> Candidate:
    """Return the first of the channel's preferred artifacts that meets all of its demands.

    Raises:
        StageStopped: None does.
    """
    made = {candidate.name: candidate for candidate in candidates}
    reasons = []
    for name in target.prefer:
        candidate = made.get(name)
        if candidate is None:
            reasons.append(f"{name} must be among compress.candidates; got {', '.join(made)}")
            continue
        faults = _find_faults(target, candidate)
        if not faults:
            return candidate
        reasons += [f"{name} on {channel}: {fault}" for fault in faults]
    raise StageStopped("compress", tuple(reasons))


def explain(
    candidate: Candidate, targets: Mapping[str, TargetSpec], chosen: Mapping[str, Candidate]
) -> str:
    """Say why channels that prefer a candidate did not get it; empty where none does."""
    reasons = []
    for channel, target in targets.items():
        prefer, name = target.prefer, candidate.name
        if name in prefer and prefer.index(name) < prefer.index(chosen[channel].name):
            reasons.append(f"not for {channel}: {'; '.join(_find_faults(target, candidate))}")
    return "; ".join(reasons)


def _find_faults(target: TargetSpec, candidate: Candidate) -> list[str]:
    """List the demands of a channel that a candidate does not meet: rule, observed, limit."""
    measured = candidate.measured
    limits: list[tuple[str, float | None, float | None]] = [
        _limit_loss(target, candidate),
        ("disagreement with the float model", 1 - candidate.agreement, 1 - target.min_agreement),
        ("size in bytes", measured.size_bytes, target.max_size_bytes),
        ("median latency in ms", measured.latency_ms_p50, target.max_latency_ms),
        ("memory in bytes", measured.memory_bytes, target.max_memory_bytes),
    ]
    return [
        f"{what} must be at most {limit:.6g}; got "
        f"{'no figure' if observed is None else format(observed, '.6g')}"
        for what, observed, limit in limits
        if limit is not None and (observed is None or observed > limit + 1e-12)
    ]


def _limit_loss(target: TargetSpec, candidate: Candidate) -> tuple[str, float, float]:
    """Return what a candidate lost to the float model, and what it may."""
    if not candidate.is_error:
        return "accuracy drop", candidate.reference - candidate.score, target.max_accuracy_drop
    increase = candidate.score / max(candidate.reference, 1e-300) - 1
    return "relative increase of the error", increase, target.max_error_increase
