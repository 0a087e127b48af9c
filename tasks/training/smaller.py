"""What the training process needs to train smaller networks for artifacts."""

from lightning_modules.training.trainer import read_model
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store, canonical_json, sha256_bytes
from tasks.forms.streams import VALIDATION, SampleRows
from tasks.training.job import Export

STATES = "resume"
EVALUATION_BATCH = 512


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
