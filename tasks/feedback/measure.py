"""Measures the champion again: its exact bytes are asked, now and for the rows it was judged on."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from deployments.targets.errors import TargetError
from deployments.targets.run.runtime import Predictor
from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.measure import load_metric
from storage.base.errors import StorageError
from storage.base.figures import Figure
from storage.base.store import Store
from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.sources.joined import find_learnable
from tasks.data.open_versions import open_version
from tasks.feedback.champion import Champion, find_champion
from tasks.feedback.collect import Gathered
from tasks.feedback.evidence import Finding
from tasks.feedback.fresh import FreshRows
from tasks.feedback.intervals import bootstrap_interval
from tasks.feedback.models import KnownModel
from tasks.feedback.watch import Watched
from tasks.feedback.windows import read_windows
from tasks.forms.registry import find_task_form
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.text import show_figure
from tasks.runtime.errors import TaskError
from tasks.runtime.outcome_base import Result
from tasks.runtime.stage import stage

FRESH = "fresh"
Verdict = Literal["worse", "not worse", "not computed", "not asked"]


class Measured(Result):
    """How good the champion is on what came back.

    Attributes:
        verdict: Whether it is certainly worse than on the rows that it was judged on.
        labelled: Rows or windows with a truth.
        figures: Its headline figure on held-out and on fresh rows, by the artifact's file.
        findings: The same as sentences.
    """

    verdict: Verdict = "not asked"
    labelled: int = 0
    figures: dict[str, tuple[Figure, Figure]] = Field(default={})
    findings: tuple[Finding, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        """How many truths there are, and what they say."""
        return (f"{self.labelled:,} with a truth", f"champion {self.verdict}")


@stage
def measure_champion(
    workspace: str,
    gathered: Gathered,
    watched: Watched,
    data: RowsSpec,
    min_labels: int,
    channels: tuple[str, ...],
) -> Measured:
    """Ask the champion's exact bytes the fresh rows with a truth, and its own held-out rows.

    Args:
        workspace: Folder or URL of the workspace.
        gathered: What came back so far.
        watched: What of it is fresh.
        data: What the recipe says of its rows.
        min_labels: Fewest rows, or windows of a forecast, with a truth.
        channels: The recipe's channels.
    """
    store = Store(workspace)
    if watched.fresh is None or gathered.dataset is None or watched.live != "green":
        return Measured()
    try:
        champion = find_champion(store, channels)
        if champion is None:
            return Measured()
        return Examiner(store, champion, gathered, watched, data).measure(min_labels)
    except (StorageError, TargetError, TaskError) as error:
        finding = Finding(name="figure", outcome="not computed", detail=str(error))
        return Measured(verdict="not computed", findings=(finding,))


@dataclass(frozen=True)
class Examiner:
    """Asks one champion."""

    store: Store
    champion: Champion
    gathered: Gathered
    watched: Watched
    data: RowsSpec

    @property
    def model(self) -> KnownModel:
        """The champion's model."""
        return self.champion.model

    def measure(self, min_labels: int) -> Measured:
        """Measure every artifact that a channel carries; one that is worse is enough."""
        sample = self.model.sample
        if find_objective(sample).spec.find_truth(sample) is None:
            text = "the recipe names no truth by which its answers could be measured"
            return Measured(findings=(Finding(name="figure", outcome="noted", detail=text),))
        batches = list(self.read_fresh())
        labelled = sum(len(batch.row_id) for batch in batches)
        if labelled < min_labels:
            text = f"{labelled} fresh rows with a truth, of {min_labels} from which it is measured"
            few = Finding(name="figure", outcome="noted", detail=text)
            return Measured(labelled=labelled, findings=(few,))
        figures, findings, verdicts = {}, [], []
        for file, (channels, predictor) in self.champion.open_artifacts().items():
            pair = (
                self.describe(self.answer_held_out(predictor), HELD_OUT),
                self.describe(answer_batches(batches, predictor), FRESH),
            )
            verdict = compare_figures(*pair)
            figures[file] = pair
            verdicts.append(verdict)
            findings.append(_tell(verdict, file, channels, *pair))
        order: tuple[Verdict, ...] = ("worse", "not computed", "not worse")
        return Measured(
            verdict=min(verdicts, key=order.index),
            labelled=labelled,
            figures=figures,
            findings=tuple(findings),
        )

    def read_fresh(self) -> Iterator[SampleBatch]:
        """Read fresh rows that have their truth as samples; of a forecast in the order of time."""
        if self.watched.fresh is None or self.gathered.dataset is None:
            return
        sample, form = self.model.sample, find_task_form(self.model.data)
        if sample.window is not None:
            version = open_version(self.store, self.gathered.dataset)
            rows = version.read()
            fresh = FreshRows(version, self.model, self.data).find(rows)
            reader = form.open_reader(version, sample)
            yield from map(_drop_unknown, read_windows(rows, fresh, sample.window, reader))
            return
        version = open_version(self.store, self.watched.fresh)
        reader = form.open_reader(version, sample)
        for entry in version.shards:
            rows = version.read_shard(entry)
            _, unanswered = find_form(self.data).find_invalid(rows, self.data)
            kept = find_learnable(rows) & ~unanswered
            if kept.any():
                yield reader.read({name: values[kept] for name, values in rows.items()})

    def answer_held_out(self, predictor: Predictor) -> AnswerSheet:
        """Answer the rows that the champion was judged on, in the order that they are kept in."""
        rows = SampleRows(self.model.prepared, self.model.sample)
        return answer_batches(rows.read(HELD_OUT), predictor)

    def describe(self, sheet: AnswerSheet, split: str) -> Figure:
        """Return the headline figure of answers, with its interval."""
        sample, standard = self.model.sample, self.model.is_standard
        objective = find_objective(sample)
        converted = objective.convert(sheet, sample, standard=standard)
        block = max(1, sample.window.horizon) if sample.window is not None else 1
        compute = load_metric(objective.headline, sample)
        interval = bootstrap_interval(converted, compute, block)
        figure = objective.describe_figure(
            objective.headline,
            compute(converted.values, converted.truth),
            sample,
            split=split,
            standard=standard,
        )
        return figure.model_copy(update={"interval": interval})


def answer_batches(batches: Iterable[SampleBatch], predictor: Predictor) -> AnswerSheet:
    """Answer samples with an artifact, in their order."""
    parts = [
        (batch.row_id, batch.truth, predictor.predict(batch.sample).values)
        for batch in batches
        if len(batch.row_id)
    ]
    row_id, truth, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return AnswerSheet(row_id, truth, values)


def compare_figures(held_out: Figure, fresh: Figure) -> Verdict:
    """Return whether a figure is certainly worse on fresh rows: both intervals lie apart.

    What has no value, no interval or no better direction cannot be compared.
    """
    pairs = (held_out.interval, fresh.interval)
    if None in pairs or None in (held_out.value, fresh.value):
        return "not computed"
    ends = [end for pair in pairs if pair is not None for end in pair]
    if held_out.direction == "none" or not all(map(math.isfinite, ends)):
        return "not computed"
    low, high, fresh_low, fresh_high = ends
    worse = fresh_high < low if held_out.direction == "higher" else fresh_low > high
    return "worse" if worse else "not worse"


def _drop_unknown(batch: SampleBatch) -> SampleBatch:
    """Return the samples of which the whole truth is known."""
    if batch.truth.dtype.kind != "f":
        return batch
    known = np.isfinite(batch.truth.reshape(len(batch.truth), -1)).all(axis=1)
    return SampleBatch(*(part[known] for part in batch))


def _tell(
    verdict: Verdict, file: str, channels: tuple[str, ...], held_out: Figure, fresh: Figure
) -> Finding:
    outcome: Literal["green", "red", "not computed"] = "green"
    if verdict != "not worse":
        outcome = "red" if verdict == "worse" else "not computed"
    return Finding(
        name=f"figure of {file} on {', '.join(channels)}",
        outcome=outcome,
        detail=f"{_show(fresh)} on fresh rows, {_show(held_out)} on those it was judged on",
    )


def _show(figure: Figure) -> str:
    if figure.interval is None:
        return f"{show_figure(figure)}, of no interval"
    low, high = figure.interval
    return f"{show_figure(figure)} ({low:.4g} to {high:.4g})"
