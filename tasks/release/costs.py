"""What an artifact costs on each class of devices: this machine's figures, slowed, or measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deployments.targets.run.measure import BATCH, Measurement
from storage.base.figures import Figure
from storage.records.receipts import ClassRecord
from tasks.gates.device_classes import ClassDemands
from tasks.runtime.figures import measure_cost

TIMES = {
    "latency_ms_p50": "latency_ms_p50",
    "latency_ms_p99": "latency_ms_p99",
    f"latency_ms_p50_of_{BATCH}": "batch_ms_p50",
    f"latency_ms_p99_of_{BATCH}": "batch_ms_p99",
    "cpu_ms": "cpu_ms",
}
"""Figures in milliseconds, and the fields of a measurement that they are."""
SPACES = {"memory_bytes": "memory_bytes", "peak_bytes": "peak_bytes"}


@dataclass(frozen=True)
class ClassCost:
    """What an artifact costs on a class of devices.

    Attributes:
        measured: Figures as they are there.
        slowdown: How many times this machine's time that is; None where a device measured it.
        device: Id of the device that measured the figures, or the slowdown; "" where declared.
    """

    measured: Measurement
    slowdown: float | None = 1.0
    device: str = ""

    def record(self, asked: ClassDemands, faults: Sequence[str]) -> ClassRecord:
        """Write it down, with what is against the artifact there."""
        return ClassRecord(
            name=asked.name,
            threads=asked.device.threads,
            slowdown=self.slowdown,
            device=self.device,
            figures=list_costs(self.measured),
            faults=tuple(faults),
        )


def slow_down(measured: Measurement, slowdown: float) -> Measurement:
    """Return figures of this machine as they are where everything takes so many times as long."""
    times = ("latency_ms_p50", "latency_ms_p95", "load_ms", *TIMES.values())
    found = {name: getattr(measured, name) for name in dict.fromkeys(times)}
    slowed = {name: value * slowdown for name, value in found.items() if value is not None}
    return measured.model_copy(update=slowed)


def list_costs(measured: Measurement) -> tuple[Figure, ...]:
    """Return what a measurement says of times and memory, as figures."""
    named = [(name, getattr(measured, field), "ms") for name, field in TIMES.items()]
    named += [(name, getattr(measured, field), "bytes") for name, field in SPACES.items()]
    return tuple(
        measure_cost(name, value, unit) for name, value, unit in named if value is not None
    )


def list_distinct(each: Iterable[Sequence[ClassDemands]]) -> tuple[ClassDemands, ...]:
    """Return the demands of all channels, one of each class and number of threads."""
    return tuple({demands.key: demands for some in each for demands in some}.values())
