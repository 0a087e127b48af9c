"""Candidates on the held-out rows: what the exact bytes answer there, and what gates say of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deployments.targets.errors import BadArtifact
from gates.artifact import judge_artifacts
from gates.model.drops import Drop, find_worst_drop
from gates.model.facts import ModelFacts
from gates.model.objectives import judge_model
from gates.model.quantile_facts import QuantileFacts
from gates.specs.model import ModelLimits, SkillLimits
from storage.base.figures import Figure
from storage.forms.base import RowsSpec
from storage.records.receipts import ArtifactRecord, ClassRecord
from tasks.forms.streams import HELD_OUT, VALIDATION
from tasks.gates.artifact import describe_artifact
from tasks.gates.device_classes import ClassDemands, ClassKey
from tasks.gates.model import describe_model
from tasks.objectives.base import STANDARD_DEVIATIONS
from tasks.objectives.quantiles import describe_quantiles, measure_quantiles
from tasks.objectives.sheets import AnswerSheet
from tasks.release.bench import HERE, Bench, Candidate
from tasks.release.choose import Choice, explain, find_faults, list_passed_over
from tasks.release.costs import list_costs
from tasks.release.trial import EXACT
from tasks.runtime.figures import measure_cost
from tasks.training.answers import read_predictions

LEAST_SLICE_ROWS = SkillLimits().min_slice_rows


@dataclass(frozen=True)
class Asked:
    """What a candidate answered to the held-out rows.

    Attributes:
        sheet: The answers.
        figures: The headline figure, the agreement with the float model, then all others.
        worst: The slice that lost most; None where none can be judged.
    """

    sheet: AnswerSheet
    figures: tuple[Figure, ...]
    worst: Drop | None


class HeldOutBench:
    """Asks candidates the held-out rows, each once, and the gates about those that may ship.

    What all of them answer is written down; what is chosen, the rows of the trial say, and the
    gates.

    Args:
        bench: Where candidates are measured.
        data: What the recipe says of the rows.
        limits: Of the model gate, which the exact bytes must pass, too; None: it is not asked.
    """

    def __init__(self, bench: Bench, data: RowsSpec, limits: ModelLimits | None) -> None:
        self.bench, self.data, self.limits = bench, data, limits
        self._asked: dict[str, Asked | str] = {}
        self._refused: dict[str, tuple[str, ...]] = {}

    def ask(self, candidate: Candidate) -> Asked | str:
        """Return what a candidate answers to the held-out rows, or why it cannot answer them."""
        if candidate.name not in self._asked:
            try:
                self._asked[candidate.name] = self._ask(candidate)
            except BadArtifact as error:
                self._asked[candidate.name] = str(error)
        return self._asked[candidate.name]

    def refuse(self, candidate: Candidate, asked: ClassDemands) -> tuple[str, ...]:
        """Return what the gates have against a candidate on a class of devices."""
        answered = self.ask(candidate)
        if isinstance(answered, str):
            return (answered,)
        record = self.record(candidate, (), ())
        facts = describe_artifact(self.bench.evaluated, record, candidate.measured.sha256, asked)
        found = judge_artifacts({facts.name: asked.limits}, [facts]).reasons
        return found or self._judge(candidate, answered)

    def record(
        self, candidate: Candidate, chosen_for: tuple[str, ...], choices: Sequence[Choice]
    ) -> ArtifactRecord:
        """Write down what a candidate measured, and why channels do not get it.

        Args:
            candidate: The candidate.
            chosen_for: Channels that get it.
            choices: What every channel gets.
        """
        asked, measured, bench = self.ask(candidate), candidate.measured, self.bench
        return ArtifactRecord(
            name=candidate.name,
            file=candidate.file,
            sha256=measured.sha256,
            figures=(
                *bench.list_scores(candidate.score, candidate.agreement, VALIDATION),
                *(() if isinstance(asked, str) else asked.figures),
                measure_cost("size_bytes", measured.size_bytes, "bytes"),
                measure_cost("latency_ms_p95", measured.latency_ms_p95, "ms"),
                *list_costs(measured),
            ),
            chosen_for=chosen_for,
            note=explain(candidate, choices) or (asked if isinstance(asked, str) else ""),
            passed_over=list_passed_over(candidate, choices),
            classes=self._record_classes(candidate),
            worst_slice="" if isinstance(asked, str) or not asked.worst else asked.worst.slice,
        )

    def _record_classes(self, candidate: Candidate) -> tuple[ClassRecord, ...]:
        """Write down what a candidate costs on each class, and what any channel has against it."""
        faults: dict[ClassKey, dict[str, None]] = {}
        for each in self.bench.classes:
            if each.key != HERE:
                faults.setdefault(each.key, {}).update(dict.fromkeys(find_faults(each, candidate)))
        return tuple(candidate.costs[key].record(key, tuple(why)) for key, why in faults.items())

    def _ask(self, candidate: Candidate) -> Asked:
        bench = self.bench
        sheet = bench.answer(candidate.content, HELD_OUT)
        scores = bench.list_scores(
            bench.judge(sheet), bench.compare(sheet, self.reference), HELD_OUT
        )
        answers = self._convert(sheet)
        measured = bench.objective.measure(
            answers.values,
            answers.truth,
            bench.evaluated.sample,
            split=HELD_OUT,
            standard=bench.evaluated.standard,
        )
        others = [figure for figure in measured if figure.name != bench.evaluated.headline]
        unit = STANDARD_DEVIATIONS if bench.evaluated.standard else ""
        others += measure_quantiles(answers, bench.evaluated.sample, split=HELD_OUT, unit=unit)
        worst = find_worst_drop(
            self.facts, self._align(answers).values, bench.evaluated.headline, LEAST_SLICE_ROWS
        )
        if worst is not None:
            lost = worst.lost if math.isfinite(worst.lost) else None
            others.append(
                Figure(name="worst_slice_drop", value=lost, direction="lower", split=HELD_OUT)
            )
        return Asked(sheet, (*scores, *others), worst)

    def _judge(self, candidate: Candidate, answered: Asked) -> tuple[str, ...]:
        """Return what the model gate has against the answers of the exact bytes."""
        if self.limits is None or self._is_exact(answered.sheet):
            return ()
        if candidate.name not in self._refused:
            sample = self.bench.evaluated.sample
            answers = self._align(self._convert(answered.sheet))
            figures: Mapping[str, Figure] = {figure.name: figure for figure in answered.figures}
            facts = replace(
                self.facts,
                answers=answers.values.astype(np.float64),
                predicted=self.bench.objective.decide(answers, sample),
                figures=tuple(figures.get(each.name, each) for each in self.facts.figures),
                quantiles=self._describe_quantiles(answers),
            )
            report = judge_model(sample.objective, self.limits, facts)
            self._refused[candidate.name] = tuple(f"gate model: {why}" for why in report.reasons)
        return self._refused[candidate.name]

    def _is_exact(self, sheet: AnswerSheet) -> bool:
        """Tell whether answers are the float model's, which the gate has judged already."""
        scale = self.bench.objective.find_scale(self.reference, self.bench.evaluated.sample)
        pairs = [(sheet.values, self.reference.values)]
        for level, wanted in self.reference.bands.items():
            if level not in sheet.bands:
                return False
            pairs.append((sheet.bands[level], wanted))
        return all((np.abs(found - wanted) <= EXACT * scale).all() for found, wanted in pairs)

    def _describe_quantiles(self, answers: AnswerSheet) -> QuantileFacts | None:
        """Describe the quantiles of exact bytes, beside the model's own baselines."""
        found, own = describe_quantiles(answers, self.bench.evaluated.sample), self.facts.quantiles
        return None if found is None or own is None else replace(found, margins=own.margins)

    def _convert(self, sheet: AnswerSheet) -> AnswerSheet:
        evaluated = self.bench.evaluated
        return self.bench.objective.convert(sheet, evaluated.sample, standard=evaluated.standard)

    def _align(self, sheet: AnswerSheet) -> AnswerSheet:
        """Bring answers to the rows that the gate judges, in their order."""
        return sheet.take(np.searchsorted(sheet.row_id, self.facts.row_id))

    @cached_property
    def reference(self) -> AnswerSheet:
        """What the float model answered to the held-out rows."""
        evaluated = self.bench.evaluated
        path, record = evaluated.predictions_path, evaluated.predictions
        return read_predictions(self.bench.store, path, record)

    @cached_property
    def facts(self) -> ModelFacts:
        """What the model gate judges."""
        bench = self.bench
        return describe_model(bench.store, bench.prepared, bench.evaluated, self.data)
