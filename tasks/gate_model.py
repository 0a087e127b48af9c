"""Gates on the model and on its artifacts: what the stages before measured, as the facts that the gates judge."""

import numpy as np
from numpy.typing import NDArray

from gates.artifact import ArtifactFacts, judge_artifacts
from gates.model import ModelFacts, judge_model, tabulate_predictions
from gates.report import GateReport
from gates.specs import ArtifactGate, ModelGate
from storage.files import Store, sha256_bytes
from storage.models import model_folder
from storage.specs import DataSpec
from tasks.evaluate import AnswerSheet, read_predictions
from tasks.results import Compressed, Evaluated, Prepared
from tasks.stage import gate


@gate
def gate_model(
    workspace: str, prepared: Prepared, evaluated: Evaluated, data: DataSpec, limits: ModelGate
) -> GateReport:
    """Judges the held-out answers: good enough, better than the majority class, no worse than the best champion."""
    store = Store(workspace)
    answers = read_predictions(store, evaluated.predictions_path, evaluated.predictions)
    predictions = tabulate_predictions(
        row_id=answers.row_id,
        label=answers.label,
        probabilities=answers.probabilities,
        champion_predicted=_answer_as_champion(store, evaluated, answers),
    )
    facts = ModelFacts(predictions=predictions, rows_held_out=prepared.dataset.rows["held_out"], labels=data.labels)
    return judge_model(limits, facts)


def _answer_as_champion(store: Store, evaluated: Evaluated, answers: AnswerSheet) -> NDArray[np.int64] | None:
    """What the most accurate champion answers for the same rows; None before the first promotion."""
    if not evaluated.champions:
        return None
    best = max(evaluated.champions, key=lambda champion: champion.accuracy)
    sheet = read_predictions(store, best.predictions_path, best.predictions)
    order = np.searchsorted(sheet.row_id, answers.row_id)
    return sheet.predicted[order]


@gate
def gate_artifact(workspace: str, evaluated: Evaluated, compressed: Compressed, limits: ArtifactGate) -> GateReport:
    """Judges the chosen artifacts: the very bytes that would ship, read again from the workspace."""
    folder = model_folder(Store(workspace), compressed.model_id)
    facts = [
        ArtifactFacts(
            name=entry.file,
            loaded=entry.accuracy is not None,
            sha256_judged=entry.sha256,
            sha256_to_ship=sha256_bytes(folder.read(entry.file)),
            accuracy_float=evaluated.accuracy,
            accuracy=entry.accuracy,
            agreement=entry.agreement,
            size_bytes=entry.size_bytes,
            latency_ms_p50=entry.latency_ms_p50,
        )
        for entry in compressed.candidates
        if entry.chosen_for
    ]
    return judge_artifacts(limits, facts)
