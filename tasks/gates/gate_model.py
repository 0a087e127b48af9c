"""Gates on the model and on its artifacts: what the stages before measured, as the facts that the gates judge."""

import numpy as np

from gates.artifact import ArtifactFacts, judge_artifacts
from gates.engine.report import GateReport
from gates.model.classes import ModelFacts, judge_model, tabulate_predictions
from gates.model.reconstruction import AnomalyFacts, judge_anomaly
from gates.model.values import RegressionFacts, judge_regression
from gates.specs import AnomalyGate, ArtifactGate, ModelGate, RegressionGate
from lightning_modules.objectives.metrics import LOWER_IS_BETTER
from lightning_modules.specs.samples import RowSample
from storage.base.store import Store, sha256_bytes
from storage.forms.base import RowsSpec
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.records.models import model_folder
from storage.records.receipts import ArtifactRecord
from tasks.forms.streams import HELD_OUT
from tasks.runtime.outcomes import Compressed, Evaluated, Prepared
from tasks.runtime.stage import gate
from tasks.training.answers import AnswerSheet, read_predictions, standardise_sheet


@gate
def gate_model(
    workspace: str,
    prepared: Prepared,
    evaluated: Evaluated,
    data: RowsSpec,
    limits: ModelGate | RegressionGate | AnomalyGate,
) -> GateReport:
    """Judges the held-out answers: good enough, better than simpler means, no worse than the best champion."""
    store = Store(workspace)
    sheet = _standardise(
        read_predictions(store, evaluated.predictions_path, evaluated.predictions), evaluated
    )
    champion = _answer_as_champion(store, evaluated, sheet)
    # Of series the windows are judged, of which there are fewer than rows.
    windows = isinstance(evaluated.sample, RowSample) and evaluated.sample.window is not None
    rows = len(sheet.row_id) if windows else prepared.dataset.rows["held_out"]
    if isinstance(limits, RegressionGate):
        return judge_regression(limits, _list_regression(sheet, champion, evaluated, rows))
    if isinstance(limits, AnomalyGate):
        scores = champion.values if champion is not None else None
        return judge_anomaly(limits, AnomalyFacts(sheet.truth, sheet.values, scores, rows))
    labels = data.labels if isinstance(data, ImageSpec | TableSpec) else ()
    predictions = tabulate_predictions(
        row_id=sheet.row_id,
        label=sheet.truth,
        probabilities=sheet.values,
        champion_predicted=champion.predicted if champion is not None else None,
    )
    return judge_model(
        limits, ModelFacts(predictions=predictions, rows_held_out=rows, labels=labels)
    )


def _standardise(sheet: AnswerSheet, evaluated: Evaluated) -> AnswerSheet:
    return standardise_sheet(sheet, evaluated.sample, standard=evaluated.standard)


def _list_regression(
    sheet: AnswerSheet, champion: AnswerSheet | None, evaluated: Evaluated, rows: int
) -> RegressionFacts:
    return RegressionFacts(
        target=sheet.truth,
        predicted=sheet.values.astype(np.float64),
        baselines={name: values.astype(np.float64) for name, values in sheet.baselines.items()},
        champion=champion.values.astype(np.float64) if champion is not None else None,
        rows_held_out=rows,
        unit="standard deviations" if evaluated.standard else "",
    )


def _answer_as_champion(
    store: Store, evaluated: Evaluated, sheet: AnswerSheet
) -> AnswerSheet | None:
    """What the best champion answers for the same rows; None before the first promotion."""
    if not evaluated.champions:
        return None
    name = evaluated.headline
    sign = -1 if name in LOWER_IS_BETTER else 1
    best = max(evaluated.champions, key=lambda champion: sign * champion.metrics[name])
    found = _standardise(
        read_predictions(store, best.predictions_path, best.predictions), evaluated
    )
    order = np.searchsorted(found.row_id, sheet.row_id)
    return AnswerSheet(sheet.row_id, sheet.truth, found.values[order])


@gate
def gate_artifact(
    workspace: str, evaluated: Evaluated, compressed: Compressed, limits: ArtifactGate
) -> GateReport:
    """Judges the chosen artifacts: the very bytes that would ship, read again from the workspace."""
    folder = model_folder(Store(workspace), compressed.model_id)
    name = evaluated.headline
    is_error = name in LOWER_IS_BETTER
    score = evaluated.metrics[name]
    facts = [
        ArtifactFacts(
            name=entry.file,
            loaded=entry.find("agreement", HELD_OUT) is not None,
            sha256_judged=entry.sha256,
            sha256_to_ship=sha256_bytes(folder.read(entry.file)),
            scored_by="error" if is_error else "accuracy",
            accuracy_float=None if is_error else score,
            accuracy=None if is_error else entry.find(name, HELD_OUT),
            error_float=score if is_error else None,
            error=entry.find(name, HELD_OUT) if is_error else None,
            agreement=entry.find("agreement", HELD_OUT),
            size_bytes=_count_bytes(entry),
            latency_ms_p50=entry.find("latency_ms_p50"),
        )
        for entry in compressed.candidates
        if entry.chosen_for
    ]
    return judge_artifacts(limits, facts)


def _count_bytes(entry: ArtifactRecord) -> int | None:
    size = entry.find("size_bytes")
    return None if size is None else int(size)
