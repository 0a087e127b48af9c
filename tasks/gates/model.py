"""The model gate's stage: what evaluating measured, as the facts that the gate judges."""

import numpy as np

from gates.engine.report import GateReport
from gates.model.classes import ModelFacts, judge_model, tabulate_predictions
from gates.model.reconstruction import AnomalyFacts, judge_anomaly
from gates.model.values import RegressionFacts, judge_regression
from gates.specs import AnomalyGate, ModelGate, RegressionGate
from lightning_modules.objectives.metrics import LOWER_IS_BETTER
from storage.base.store import Store
from storage.forms.base import RowsSpec
from tasks.runtime.outcomes import Evaluated, Prepared
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
    """Judge the held-out answers: good enough, better than baselines, no worse than champions."""
    store = Store(workspace)
    sheet = _standardise(
        read_predictions(store, evaluated.predictions_path, evaluated.predictions), evaluated
    )
    champion = _answer_as_champion(store, evaluated, sheet)
    # Of series the windows are judged, of which there are fewer than rows.
    windows = evaluated.sample.window is not None
    rows = len(sheet.row_id) if windows else prepared.dataset.rows["held_out"]
    if isinstance(limits, RegressionGate):
        return judge_regression(limits, _list_regression(sheet, champion, evaluated, rows))
    if isinstance(limits, AnomalyGate):
        scores = champion.values if champion is not None else None
        return judge_anomaly(limits, AnomalyFacts(sheet.truth, sheet.values, scores, rows))
    predictions = tabulate_predictions(
        row_id=sheet.row_id,
        label=sheet.truth,
        probabilities=sheet.values,
        champion_predicted=champion.predicted if champion is not None else None,
    )
    return judge_model(
        limits, ModelFacts(predictions=predictions, rows_held_out=rows, labels=data.labels)
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
    """Return what the best champion answers for the same rows; None before the first promotion."""
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
