"""Sizes the training of a network over windows to how many there are."""

from typing import Any

import numpy as np

from tasks.drafting.guesses import LIKELY, Notes

STEPS, MANY_WINDOWS = 2500, 2000
"""Steps that a drafted training takes, about; and windows from which batches may be larger."""


def choose_training(windows: int, notes: Notes) -> dict[str, Any]:
    """Return how a network learns: a few thousand steps, so that few windows are seen often."""
    batch = 64 if windows > MANY_WINDOWS else 32
    epochs = int(np.clip(STEPS * batch // max(1, windows), 12, 80))
    why = f"about {STEPS} steps of {batch} windows, of which there are {windows}, about"
    notes.add("train.max_epochs", epochs, LIKELY, why)
    stop = {"patience_epochs": max(6, epochs // 4)}
    return {"max_epochs": epochs, "batch_size": batch, "early_stopping": stop}
