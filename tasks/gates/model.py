"""Judges models: what evaluating measured becomes the facts of the model gate."""

import math

import numpy as np

from gates.engine.report import GateReport
from gates.model.facts import ModelFacts
from gates.model.objectives import judge_model
from gates.specs.model import ModelLimits
from storage.base.figures import find_value
from storage.base.store import Store
from storage.forms.base import RowsSpec
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet
from tasks.runtime.model_outcomes import Champion, Evaluated
from tasks.runtime.outcomes import Prepared
from tasks.runtime.stage import gate
from tasks.training.answers import read_predictions


@gate
def gate_model(
    workspace: str,
    prepared: Prepared,
    evaluated: Evaluated,
    data: RowsSpec,
    objective: str,
    limits: ModelLimits,
) -> GateReport:
    """Judge the held-out answers: good enough, better than baselines, no worse than champions."""
    store = Store(workspace)
    sheet = _read_sheet(store, evaluated, evaluated)
    best = _find_best_champion(evaluated)
    champion = None if best is None else _align(_read_sheet(store, evaluated, best), sheet)
    # Of series the windows are judged, of which there are fewer than rows.
    windows = evaluated.sample.window is not None
    facts = ModelFacts(
        row_id=sheet.row_id,
        truth=sheet.truth,
        answers=sheet.values.astype(np.float64),
        rows_held_out=len(sheet.row_id) if windows else prepared.dataset.rows["held_out"],
        figures=evaluated.figures,
        baselines={name: found.astype(np.float64) for name, found in sheet.baselines.items()},
        champion=champion.values.astype(np.float64) if champion is not None else None,
        champion_figures=best.figures if best is not None else (),
        labels=data.labels,
        unit="standard deviations" if evaluated.standard else "",
    )
    return judge_model(objective, limits, facts)


def _read_sheet(store: Store, evaluated: Evaluated, by: Evaluated | Champion) -> AnswerSheet:
    """Read what a model answered to the held-out rows, in the unit that figures are in."""
    sheet = read_predictions(store, by.predictions_path, by.predictions)
    objective = find_objective(evaluated.sample)
    return objective.convert(sheet, evaluated.sample, standard=evaluated.standard)


def _find_best_champion(evaluated: Evaluated) -> Champion | None:
    """Find the promoted model with the best headline; None before the first promotion."""
    sign = -1 if evaluated.score.direction == "lower" else 1

    def rank(champion: Champion) -> float:
        value = find_value(champion.figures, evaluated.headline)
        return -math.inf if value is None else sign * value

    return max(evaluated.champions, key=rank, default=None)


def _align(found: AnswerSheet, sheet: AnswerSheet) -> AnswerSheet:
    """Bring answers to the order of the rows of another sheet."""
    order = np.searchsorted(found.row_id, sheet.row_id)
    return AnswerSheet(sheet.row_id, sheet.truth, found.values[order])
