"""Evaluate: the held-out rows, once, by the new model and by the champions it would replace."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.release import Release
from lightning_modules.specs.forms import AnySample
from storage.base.figures import Figure
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.records.models import compute_model_id
from storage.records.receipts import FileRecord
from tasks.forms.streams import HELD_OUT
from tasks.objectives.base import STANDARD_DEVIATIONS
from tasks.objectives.quantiles import measure_quantiles
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet, pack_answers, unpack_answers
from tasks.runtime.model_outcomes import Champion, Evaluated, Trained
from tasks.runtime.outcomes import Collected, Prepared
from tasks.runtime.stage import stage
from tasks.training.answers import answer_split, read_answers
from tasks.training.champions import open_champions


@stage
def evaluate(
    workspace: str,
    raw: Collected,
    prepared: Prepared,
    trained: Trained,
    recipe_digest: str,
    data: RowsSpec,
    channels: tuple[str, ...],
) -> Evaluated:
    """Judges the answers to the held-out split, and asks each channel's champion the same rows.

    Raises:
        Corrupt: The answers are not those that training wrote.
        StageStopped: A channel carries a model of other samples.
    """
    store, directory = Store(workspace), Path(trained.directory)
    result, sample = trained.held_out_predictions, trained.sample
    content = read_answers(directory, result)
    path = f"reports/{directory.name}/held-out.npz"
    store.write(path, content)
    judge = Judge(store, directory.name, prepared, trained)
    sheet = judge.convert(unpack_answers(content))
    versions = [raw.dataset.manifest, prepared.dataset.manifest]
    return Evaluated(
        model_id=compute_model_id(trained.checkpoint.sha256, recipe_digest, versions),
        predictions_path=path,
        predictions=FileRecord(sha256=result.sha256, size_bytes=result.size_bytes),
        sample=sample,
        labels=data.labels,
        standard=trained.standard,
        headline=find_objective(sample).headline,
        figures=(
            *judge.measure(sheet, sheet.values),
            *judge.measure_quantiles(sheet),
            judge.describe_loss(result.figures),
        ),
        baselines=judge.measure_baselines(sheet),
        confusion=find_objective(sample).count_confusion(sheet, sample),
        champions=tuple(
            judge.judge_champion(*champion)
            for champion in open_champions(store, channels, sample, data, stage="evaluate")
        ),
    )


@dataclass(frozen=True)
class Judge:
    """What all models of a run are judged by: the same rows, in the same unit."""

    store: Store
    run: str
    prepared: Prepared
    trained: Trained

    def convert(self, sheet: AnswerSheet) -> AnswerSheet:
        """Return answers in the unit that figures are in."""
        sample = self.trained.sample
        return find_objective(sample).convert(sheet, sample, standard=self.trained.standard)

    def measure(
        self, sheet: AnswerSheet, values: NDArray[Any], decided_by: AnySample | None = None
    ) -> tuple[Figure, ...]:
        """Measure answers to the rows of a sheet, decided as the model's if nothing is said."""
        sample, standard = decided_by or self.trained.sample, self.trained.standard
        objective = find_objective(sample)
        return objective.measure(values, sheet.truth, sample, split=HELD_OUT, standard=standard)

    def measure_baselines(self, sheet: AnswerSheet) -> dict[str, tuple[Figure, ...]]:
        """Measure the answers of each baseline, decided by a threshold of its own if one is."""
        sample = self.trained.sample
        settle = find_objective(sample).settle_baseline
        return {
            name: self.measure(sheet, values, settle(sheet, name, sample))
            for name, values in sheet.baselines.items()
        }

    def measure_quantiles(self, sheet: AnswerSheet) -> tuple[Figure, ...]:
        """Measure the quantiles of a sheet, if it has any."""
        unit = STANDARD_DEVIATIONS if self.trained.standard else ""
        return measure_quantiles(sheet, self.trained.sample, split=HELD_OUT, unit=unit)

    def describe_loss(self, figures: Mapping[str, float]) -> Figure:
        """Return the loss that the training process measured."""
        sample, standard = self.trained.sample, self.trained.standard
        return find_objective(sample).describe_figure(
            "loss", figures["loss"], sample, split=HELD_OUT, standard=standard
        )

    def judge_champion(self, channel: str, release: Release, predictor: Predictor) -> Champion:
        """Ask a channel's promoted model the held-out rows."""
        sheet = answer_split(self.store, self.prepared, HELD_OUT, predictor, self.trained.sample)
        packed = pack_answers(sheet)
        path = f"reports/{self.run}/held-out-champion-{channel}.npz"
        self.store.write(path, packed)
        converted = self.convert(sheet)
        own = find_objective(self.trained.sample).settle_champion(converted, self.trained.sample)
        return Champion(
            channel=channel,
            release=release.number,
            model_id=release.model_id,
            figures=self.measure(converted, converted.values, own),
            predictions_path=path,
            predictions=FileRecord(sha256=sha256_bytes(packed), size_bytes=len(packed)),
        )
