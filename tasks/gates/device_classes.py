"""What a channel asks of its artifact on each class of devices that it is for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployments.targets.specs import DeviceClass, TargetSpec, list_classes
from gates.specs.artifact import ArtifactGate

ClassKey = tuple[str, int]
"""A class's name and its threads, by which costs are found."""


@dataclass(frozen=True)
class ClassDemands:
    """What an artifact must hold up on.

    Attributes:
        name: Of the class; "" where a channel is for no class that is described.
        device: What devices of the class can bear, with the channel's own limits in place.
        limits: Of the artifact gate, with those of the class in place.
    """

    name: str
    device: DeviceClass
    limits: ArtifactGate

    @property
    def key(self) -> ClassKey:
        """What its costs are found by."""
        return self.name, self.device.threads

    @property
    def title(self) -> str:
        """Where it is, for messages: " on gateway"; empty for this machine in one thread."""
        return title_class(*self.key)


def title_class(name: str, threads: int) -> str:
    """Return where an artifact runs, for messages: empty for this machine in one thread."""
    return f"{f' on {name}' if name else ''}{f' in {threads} threads' if threads > 1 else ''}"


def list_demands(
    target: TargetSpec, described: Mapping[str, DeviceClass], limits: ArtifactGate
) -> tuple[ClassDemands, ...]:
    """Return what a channel asks on each of its classes.

    Args:
        target: The channel's target.
        described: The recipe's `device_classes`.
        limits: Of the recipe's artifact gate.
    """
    return tuple(
        ClassDemands(name, device, limit_class(limits, device))
        for name, device in list_classes(target, described).items()
    )


def limit_class(limits: ArtifactGate, device: DeviceClass) -> ArtifactGate:
    """Return the limits on a class of devices: the gate's, with those of the class in place."""
    own = {
        "max_size_bytes": device.max_size_bytes,
        "max_latency_ms_p50": device.max_latency_ms,
        "max_accuracy_drop": device.max_accuracy_drop,
        "max_error_increase": device.max_error_increase,
    }
    stated = {name: limit for name, limit in own.items() if limit is not None}
    return limits.model_copy(update=stated)


def limit_all(each: Sequence[ArtifactGate]) -> ArtifactGate:
    """Return the limits on an artifact of several channels: it must hold up on each of them."""
    return _join_limits(each, min)


def limit_any(each: Sequence[ArtifactGate]) -> ArtifactGate:
    """Return the limits beyond which an artifact holds up on no channel."""
    return _join_limits(each, max)


def _join_limits(
    each: Sequence[ArtifactGate], choose: Callable[[list[float]], float]
) -> ArtifactGate:
    names = ("max_size_bytes", "max_latency_ms_p50", "max_accuracy_drop", "max_error_increase")
    chosen = {name: choose([getattr(one, name) for one in each]) for name in names}
    return each[0].model_copy(update=chosen)
