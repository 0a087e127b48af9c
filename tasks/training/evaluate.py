"""Evaluate: the held-out rows, once: by the new model and, on the same rows, by the champions it would replace."""

from pathlib import Path

import numpy as np

from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.release import Release
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.records.models import compute_model_id
from storage.records.receipts import FileRecord
from tasks.forms.streams import HELD_OUT
from tasks.runtime.outcomes import ChampionFigures, Collected, Evaluated, Prepared, Trained
from tasks.runtime.stage import stage
from tasks.training.answers import (
    AnswerSheet,
    answer_split,
    measure_sheet,
    pack_answers,
    read_answers,
    standardise_sheet,
    unpack_answers,
)
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
    """Judges what the float model answered on the held-out split, and asks each channel's champion the same rows.

    Raises:
        Corrupt: The answers are not those that training wrote.
        StageStopped: A channel carries a model of other samples.
    """
    store, directory = Store(workspace), Path(trained.directory)
    result, sample = trained.held_out_predictions, trained.sample
    content = read_answers(directory, result)
    model_id = compute_model_id(
        trained.checkpoint.sha256, recipe_digest, [raw.dataset.manifest, prepared.dataset.manifest]
    )
    record = FileRecord(sha256=result.sha256, size_bytes=result.size_bytes)
    path = f"reports/{directory.name}/held-out.npz"
    store.write(path, content)
    sheet = standardise_sheet(unpack_answers(content), sample, standard=trained.standard)
    return Evaluated(
        model_id=model_id,
        predictions_path=path,
        predictions=record,
        sample=sample,
        standard=trained.standard,
        metrics={**measure_sheet(sheet, sheet.values, sample), "loss": result.figures["loss"]},
        baselines={
            name: measure_sheet(sheet, values, sample) for name, values in sheet.baselines.items()
        },
        confusion=_count_confusion(sheet) if sample.objective == "classes" else (),
        champions=tuple(
            _judge_champion(store, directory.name, prepared, trained, *champion)
            for champion in open_champions(store, channels, sample, data, stage="evaluate")
        ),
    )


def _count_confusion(sheet: AnswerSheet) -> tuple[tuple[int, ...], ...]:
    """Rows by truth and answer."""
    classes = sheet.values.shape[1]
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (sheet.truth, sheet.predicted), 1)
    return tuple(tuple(int(count) for count in row) for row in counts)


def _judge_champion(
    store: Store,
    run: str,
    prepared: Prepared,
    trained: Trained,
    channel: str,
    release: Release,
    predictor: Predictor,
) -> ChampionFigures:
    """A channel's promoted model on the held-out rows."""
    sample = trained.sample
    sheet = answer_split(store, prepared, HELD_OUT, predictor, sample)
    packed = pack_answers(sheet)
    record = FileRecord(sha256=sha256_bytes(packed), size_bytes=len(packed))
    path = f"reports/{run}/held-out-champion-{channel}.npz"
    store.write(path, packed)
    figures = standardise_sheet(sheet, sample, standard=trained.standard)
    return ChampionFigures(
        channel=channel,
        release=release.number,
        model_id=release.model_id,
        metrics=measure_sheet(figures, figures.values, sample),
        predictions_path=path,
        predictions=record,
    )
