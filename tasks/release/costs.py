"""What an artifact costs on each class of devices: this machine's figures, slowed, or measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from deployments.targets.run.measure import BATCH, Measurement
from storage.base.figures import Figure
from storage.records.receipts import ClassRecord
from tasks.gates.device_classes import ClassKey
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
_TIMED = tuple(dict.fromkeys(("latency_ms_p50", "latency_ms_p95", "load_ms", *TIMES.values())))


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

    def record(self, key: ClassKey, faults: Sequence[str]) -> ClassRecord:
        """Write it down, with what is against the artifact there."""
        name, threads = key
        return ClassRecord(
            name=name,
            threads=threads,
            slowdown=self.slowdown,
            device=self.device,
            figures=list_costs(self.measured),
            faults=tuple(faults),
        )


def slow_down(measured: Measurement, slowdown: float) -> Measurement:
    """Return figures of this machine as they are where everything takes so many times as long."""
    found = {name: getattr(measured, name) for name in _TIMED}
    slowed = {name: value * slowdown for name, value in found.items() if value is not None}
    return measured.model_copy(update=slowed)


def take_medians(rounds: Sequence[Measurement]) -> Measurement:
    """Return the median of each figure over several measurements of the same bytes."""
    joined = _join(rounds, median_low)
    return joined.model_copy(update={"runs": sum(each.runs for each in rounds)})


def take_largest(measured: Sequence[Measurement]) -> Measurement:
    """Return the largest of each figure over several measurements of the same bytes."""
    return _join(measured, max)


def _join(measured: Sequence[Measurement], choose: Callable[[list[Any]], Any]) -> Measurement:
    """Return measurements as one; a figure that one of them lacks is not known."""
    found = {name: [getattr(each, name) for each in measured] for name in (*_TIMED, *SPACES)}
    chosen = {name: None if None in each else choose(each) for name, each in found.items()}
    return measured[0].model_copy(update=chosen)


def list_costs(measured: Measurement) -> tuple[Figure, ...]:
    """Return what a measurement says of times and memory, as figures."""
    named = [(name, getattr(measured, field), "ms") for name, field in TIMES.items()]
    named += [(name, getattr(measured, field), "bytes") for name, field in SPACES.items()]
    return tuple(
        measure_cost(name, value, unit) for name, value, unit in named if value is not None
    )
