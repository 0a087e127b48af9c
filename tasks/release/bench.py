"""The bench: what an artifact's exact bytes answer and cost, held against the float model."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.measure import Measurement, measure_artifact
from deployments.targets.run.runtime import Array, Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.golden import Golden
from gates.model.measure import Measure
from storage.base.figures import Figure
from storage.base.store import Store
from tasks.data.open_versions import open_version
from tasks.forms.streams import VALIDATION, SampleRows
from tasks.gates.device_classes import ClassDemands, ClassKey
from tasks.objectives.base import TaskObjective
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet
from tasks.release.costs import ClassCost
from tasks.release.device_figures import NO_FIGURES, DeviceBook
from tasks.release.golden import make_golden, shuffle_values
from tasks.release.trial import LEAST_ROWS, Loss, Places, TrialRows, join_answers, take_rows
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Prepared
from tasks.training.answers import answer_split

BUDGET_S, MOST_RUNS = 1.0, 300
"""How long single answers of an artifact are timed altogether, and how many at most."""
TRIAL_SEED = 1
"""Of the training rows that a trial adds: not the seed of those that calibrate."""


@dataclass(frozen=True)
class Candidate:
    """An artifact with what it measured on validation rows.

    Attributes:
        score: Accuracy or average precision, or a mean absolute error, on validation rows.
        agreement: Fraction of the answers there that are the float model's.
        is_error: Whether the score is an error.
        lost: What the score lost to the float model on the rows of the trial: a difference, or of
            an error its relative increase; NaN where there is no score.
        differing: Share of the answers there that are not the float model's.
        measured: What it costs on this machine, in one thread.
        costs: What it costs on the classes of devices that channels are for.
    """

    name: str
    content: bytes
    score: float
    agreement: float
    is_error: bool
    lost: Loss
    differing: Loss
    measured: Measurement
    costs: Mapping[ClassKey, ClassCost] = field(default_factory=dict)

    def find_cost(self, key: ClassKey) -> Measurement:
        """Return what it costs on a class of devices; without a name, on this machine."""
        return self.measured if key == HERE else self.costs[key].measured

    @property
    def file(self) -> str:
        """Name of its file in the model's directory."""
        return f"{self.name}.onnx"


HERE: ClassKey = ("", 1)
"""This machine in one thread, by which artifacts are compared."""


@dataclass(frozen=True)
class Bench:
    """Where candidates are measured: the rows, and what an artifact takes and answers.

    Attributes:
        tolerance: How far two numbers may be apart to agree, in standard deviations.
        classes: What every channel asks on each of its classes of devices.
        book: What devices measured.
    """

    store: Store
    prepared: Prepared
    evaluated: Evaluated
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    tolerance: float
    classes: tuple[ClassDemands, ...] = ()
    book: DeviceBook = NO_FIGURES

    @property
    def objective(self) -> TaskObjective[Any]:
        """What answers are measured by."""
        return find_objective(self.evaluated.sample)

    def open_trial(self, reference: AnswerSheet, exact: bytes) -> TrialRows:
        """Open the rows that candidates are tried on.

        Args:
            reference: What the float network answers to the validation rows.
            exact: The candidate that is that network, by whose answers it stands for others.
        """
        version, sample = open_version(self.store, self.prepared.dataset), self.evaluated.sample
        rows, window = SampleRows(version, sample), sample.window
        ids = np.concatenate([batch.row_id for batch in rows.read(VALIDATION)])
        # Sheets are ordered by row id: where each of their rows is stored.
        stored = np.argsort(ids, kind="stable")
        reach = 1 if window is None else window.lookback + window.lead + window.horizon
        missing = LEAST_ROWS - len(ids)
        if missing <= 0:
            return TrialRows(reference, stored, reach=reach)
        extra = rows.draw(missing, TRIAL_SEED)
        joined = join_answers(reference, extra, self._open(exact))
        return TrialRows(joined, stored, extra, reach)

    def measure(
        self, name: str, content: bytes, trial: TrialRows, found: Mapping[int, Measurement]
    ) -> Candidate:
        """Measure a candidate on the rows of the trial beside the float network.

        Args:
            name: Its name.
            content: Its bytes.
            trial: The rows.
            found: What it costs here, by threads.
        """
        sheet = self.answer(content, VALIDATION)
        return Candidate(
            name=name,
            content=content,
            score=self.judge(sheet),
            agreement=self.compare(sheet, take_rows(trial.reference, np.arange(len(sheet.row_id)))),
            is_error=self.is_error,
            **self._try(trial.extend(sheet, self._open(content)), trial),
            measured=found[1],
            costs=self._find_costs(name, found),
        )

    def measure_costs(self, content: bytes, rounds: int = 1) -> dict[int, Measurement]:
        """Measure what an artifact costs here, in one thread and in as many as classes have.

        Args:
            content: Its bytes.
            rounds: In how many calls its time is spent.
        """
        asked = {1, *(each.device.threads for each in self.classes)}
        return {
            threads: measure_artifact(
                content,
                self.input,
                self.outputs,
                threads=threads,
                max_runs=MOST_RUNS // rounds,
                budget_s=BUDGET_S / rounds,
            )
            for threads in sorted(asked)
        }

    def _find_costs(self, name: str, found: Mapping[int, Measurement]) -> dict[ClassKey, ClassCost]:
        """Return what an artifact costs on each class, by what it costs here."""
        return {
            each.key: self.book.find_cost(each, name, found[each.device.threads])
            for each in self.classes
        }

    def _try(self, sheet: AnswerSheet, trial: TrialRows) -> dict[str, Loss]:
        """Bound what a candidate's answers to the rows of a trial lost."""
        sample, reference = self.evaluated.sample, trial.reference

        def lose(places: Places) -> float:
            found, wanted = (self.judge(take_rows(part, places)) for part in (sheet, reference))
            if not self.is_error:
                return wanted - found
            return found / max(wanted, 1e-300) - 1

        def differ(places: Places) -> float:
            return 1 - self.compare(*(take_rows(part, places) for part in (sheet, reference)))

        exact = trial.is_exact(sheet, self.objective.find_scale(reference, sample))
        return {
            "lost": trial.bound(lose, exact=exact),
            "differing": trial.bound_share(differ, exact=exact),
        }

    @property
    def is_error(self) -> bool:
        """Whether the figure that artifacts are held against is an error."""
        return self.evaluated.score.direction == "lower"

    def _open(self, content: bytes) -> Callable[[Array], Array]:
        """Return what answers samples with an artifact's exact bytes."""
        predictor = Predictor(content, self.input, self.outputs)
        return lambda samples: predictor.predict(samples).values

    def answer(self, content: bytes, split: str) -> AnswerSheet:
        """Answer a split with an artifact's exact bytes."""
        predictor = Predictor(content, self.input, self.outputs)
        return answer_split(self.store, self.prepared, split, predictor, self.evaluated.sample)

    def make_golden(self, candidate: Candidate) -> Golden:
        """Make the samples by which a device tests a candidate's exact bytes on itself."""
        predictor = Predictor(candidate.content, self.input, self.outputs)
        return make_golden(predictor, self._made_up)

    def still_holds(self, candidate: Candidate, golden: bytes) -> bool:
        """Tell whether a candidate answers golden samples made before as it must."""
        try:
            samples = Golden.parse(golden)
            check_golden(Predictor(candidate.content, self.input, self.outputs), samples)
        except (BadArtifact, BadInput, KeyError):
            return False
        return True

    @cached_property
    def _made_up(self) -> Array:
        """Samples that are nobody's, (N, *shape)."""
        version = open_version(self.store, self.prepared.dataset)
        batches = SampleRows(version, self.evaluated.sample).read(VALIDATION)
        rows = next(batch.sample for batch in batches if len(batch.row_id))
        return shuffle_values(rows, self.input)

    def judge(self, sheet: AnswerSheet) -> float:
        """Return the figure that artifacts are held against, in the unit that figures are in."""
        sample = self.evaluated.sample
        converted = self.objective.convert(sheet, sample, standard=self.evaluated.standard)
        figure = self._headline.compute(converted.values, converted.truth)
        return figure if math.isfinite(figure) else math.nan

    @cached_property
    def _headline(self) -> Measure:
        """That figure alone: a trial asks for it of the rows without each of its blocks."""
        measures = self.objective.list_measures(self.evaluated.sample)
        return next(each for each in measures if each.name == self.objective.headline)

    def compare(self, sheet: AnswerSheet, reference: AnswerSheet) -> float:
        """Return the share of an artifact's answers that are the float model's."""
        return self.objective.measure_agreement(
            sheet, reference, self.evaluated.sample, self.tolerance
        )

    def list_scores(self, score: float, agreement: float, split: str) -> tuple[Figure, ...]:
        """Return how well an artifact answers the rows of a split, as figures."""
        evaluated = self.evaluated
        headline = self.objective.describe_figure(
            evaluated.headline, score, evaluated.sample, split=split, standard=evaluated.standard
        )
        return (headline, Figure(name="agreement", value=agreement, split=split))
