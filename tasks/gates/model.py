"""Judges models: what evaluating measured becomes the facts of the model gate."""

import math

import numpy as np

from gates.engine.report import GateReport
from gates.model.facts import CHAMPION, ModelFacts
from gates.model.measure import Measure
from gates.model.objectives import judge_model
from gates.specs.model import ModelLimits
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.shipping import describe_shipping
from storage.base.figures import find_value
from storage.base.store import Store
from storage.forms.base import RowsSpec
from tasks.data.open_versions import open_version
from tasks.forms.registry import FORMS
from tasks.gates.held_out_rows import cut_blocks, list_slices, read_known
from tasks.objectives.quantiles import describe_quantiles
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
    facts = describe_model(Store(workspace), prepared, evaluated, data)
    return judge_model(objective, limits, facts)


def describe_model(
    store: Store, prepared: Prepared, evaluated: Evaluated, data: RowsSpec
) -> ModelFacts:
    """Gather the facts that the model gate judges.

    Windows of which no step that was asked for has a value are left out, and counted.
    """
    whole, sample = _read_sheet(store, evaluated, evaluated), evaluated.sample
    sheet = _leave_out_unanswered(whole)
    best = _find_best_champion(evaluated)
    champion = None if best is None else _align(_read_sheet(store, evaluated, best), sheet)
    known = read_known(open_version(store, prepared.dataset), sheet.row_id, data, sample)
    # Of series the windows are judged, of which there are fewer than rows.
    windows = sample.window is not None
    return ModelFacts(
        row_id=sheet.row_id,
        truth=sheet.truth,
        answers=sheet.values.astype(np.float64),
        rows_held_out=len(sheet.row_id) if windows else prepared.dataset.rows["held_out"],
        predicted=find_objective(sample).decide(sheet, sample),
        figures=evaluated.figures,
        measures=find_objective(sample).list_measures(sample),
        baselines={name: found.astype(np.float64) for name, found in sheet.baselines.items()},
        shipping={name: describe_shipping(sample, name) for name in sheet.baselines},
        champion=champion.values.astype(np.float64) if champion is not None else None,
        rival_measures=_list_rivals(sheet, champion, sample),
        labels=data.labels,
        unit="standard deviations" if evaluated.standard else "",
        blocks=cut_blocks(known, data, sample),
        slices=list_slices(known, data),
        columns=FORMS.find(sample.form).name_asked(sample),
        unanswered=len(whole.row_id) - len(sheet.row_id),
        quantiles=describe_quantiles(sheet, sample),
    )


def _list_rivals(
    sheet: AnswerSheet, champion: AnswerSheet | None, sample: AnySample
) -> dict[str, tuple[Measure, ...]]:
    """Return how figures of those are measured whose answers are decided in another way."""
    objective = find_objective(sample)
    by = {name: objective.settle_baseline(sheet, name, sample) for name in sheet.baselines}
    if champion is not None:
        by[CHAMPION] = objective.settle_champion(champion, sample)
    return {name: objective.list_measures(sample, own) for name, own in by.items() if own != sample}


def _leave_out_unanswered(sheet: AnswerSheet) -> AnswerSheet:
    """Return the answers to windows (N, H, T) of which at least one step has a truth."""
    if sheet.truth.ndim < 3:
        return sheet
    kept = ~np.isnan(sheet.truth).all(axis=(1, 2))
    return sheet.take(kept)


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
    return found.take(np.searchsorted(found.row_id, sheet.row_id))
