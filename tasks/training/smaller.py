"""What the training process needs to train smaller networks for artifacts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.training.trainer import read_model
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store, canonical_json, sha256_bytes
from tasks.forms.streams import VALIDATION, SampleRows
from tasks.training.job import Export

STATES = "resume"
EVALUATION_BATCH = 512
MOST_VALIDATION = 1000


def open_tuning(store: Store, checkpoint: bytes, rows: SampleRows, step: Export) -> Tuning | None:
    """Opens what smaller networks are trained with; None where an export trains none.

    Args:
        store: The job's folder; states lie there under what is asked, and of which weights.
        checkpoint: The network that they are made from.
        rows: Its rows.
        step: What is asked.
    """
    if step.train is None:
        return None
    asked = step.model_dump(mode="json")
    key = sha256_bytes(canonical_json([sha256_bytes(checkpoint), asked]))[:16]
    return Tuning(
        model=read_model(checkpoint),
        train=step.train,
        open_training=rows.open_training,
        open_validation=lambda: rows.open_evaluation(VALIDATION, EVALUATION_BATCH),
        reader=rows.reader,
        open_states=lambda name: store.child(STATES, f"{key}-{name}"),
        max_minutes=step.compress.max_minutes,
        most_lost=step.most_lost,
    )


def read_validation(rows: SampleRows) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read the first validation samples (N, ...), by which one of several ways is chosen.

    Their truth (N, ...) goes with them; None where rows carry none.
    """
    samples, truths, missing = [], [], MOST_VALIDATION
    for batch in rows.read(VALIDATION):
        samples.append(batch.sample[:missing])
        truths.append(batch.truth[:missing])
        missing -= len(samples[-1])
        if missing <= 0:
            break
    known = OBJECTIVES.find(rows.sample.objective).find_truth(rows.sample) is not None
    return np.concatenate(samples), np.concatenate(truths) if known else None
