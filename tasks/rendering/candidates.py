"""Artifacts side by side: what each measured, on the held-out rows where it answered them."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from storage.base.figures import Figure, find_figure, find_value
from storage.records.receipts import ArtifactRecord, ClassRecord
from tasks.rendering.text import format_rate, name_figure, show_figure

_SPLITS = {"held_out": "held out", "validation": "validation"}


def name_score(candidates: Sequence[ArtifactRecord]) -> str:
    """Return the name of the figure that artifacts are compared by, for the head of a column."""
    scores = (candidate.find_score(split) for candidate in candidates for split in _SPLITS)
    name = next((score.name for score in scores if score is not None), "accuracy")
    shown = name_figure(name)
    return shown[:1].upper() + shown[1:]


def show_score(candidate: ArtifactRecord) -> tuple[str, str]:
    """Return how well an artifact answers, and on which rows; held-out ones before others."""
    for split, words in _SPLITS.items():
        if (score := candidate.find_score(split)) is not None:
            return show_figure(score), words
    return show_figure(Figure(name="", value=None)), "validation"


def show_agreement(candidate: ArtifactRecord) -> tuple[str, str]:
    """Return how often an artifact answers as the float model does, and on which rows."""
    for split, words in _SPLITS.items():
        if (share := candidate.find("agreement", split)) is not None:
            return show_figure(Figure(name="agreement", value=share)), words
    return show_figure(Figure(name="agreement", value=None)), "validation"


def find_largest(candidates: Sequence[ArtifactRecord], name: str) -> float:
    """Return the largest value of a figure among artifacts; 0 where none has it."""
    return max((candidate.find(name) or 0.0 for candidate in candidates), default=0.0)


def list_lost(candidate: ArtifactRecord) -> tuple[str, ...]:
    """Return why channels did not get an artifact, one sentence each."""
    if not candidate.passed_over:
        return (candidate.note,) if candidate.note else ()
    return tuple(
        f"not for {channel}: {'; '.join(reasons)}"
        for channel, reasons in candidate.passed_over.items()
    )


def show_worst_slice(candidate: ArtifactRecord) -> str:
    """Return which slice lost most to the float model, and how much."""
    figure = find_figure(candidate.figures, "worst_slice_drop")
    if figure is not None and figure.value is not None and figure.value <= 0:
        return "no slice lost"
    lost = "no number" if figure is None or figure.value is None else format_rate(figure.value)
    return f"{lost} lost at worst, of {candidate.worst_slice}"


class CostRow(NamedTuple):
    """What one artifact costs on one class of devices.

    Attributes:
        where: The class, and its threads.
        artifact: Its name.
        times: Median and 99th percentile of one row, then of 64 at once, in ms.
        memory: Growth of a process by it, in bytes.
        cpu: Processor time of one row, in ms.
        told_by: Who measured that.
        faults: What is against it there.
    """

    where: str
    artifact: str
    times: tuple[float | None, ...]
    memory: float | None
    cpu: float | None
    told_by: str
    faults: tuple[str, ...]


def list_class_costs(candidates: Sequence[ArtifactRecord]) -> list[CostRow]:
    """Return what artifacts cost on classes of devices, class by class."""
    rows = [
        _fill_row(candidate.name, each) for candidate in candidates for each in candidate.classes
    ]
    return sorted(rows, key=lambda row: row.where)


def _fill_row(artifact: str, cost: ClassRecord) -> CostRow:
    find = partial(find_value, cost.figures)
    times = [f"latency_ms_{each}" for each in ("p50", "p99", "p50_of_64", "p99_of_64")]
    return CostRow(
        where=f"{cost.name or 'this machine'}{f', {cost.threads} threads' * (cost.threads > 1)}",
        artifact=artifact,
        times=tuple(map(find, times)),
        memory=find("memory_bytes"),
        cpu=find("cpu_ms"),
        told_by=_tell_source(cost),
        faults=cost.faults,
    )


def _tell_source(cost: ClassRecord) -> str:
    if cost.slowdown is None:
        return f"measured on {cost.device}"
    if cost.slowdown == 1 and not cost.device:
        return "measured here"
    who = f"measured on {cost.device}" if cost.device else "declared"
    return f"measured here, times {cost.slowdown:.3g}, {who}"
