"""Fits what an answer learns from validation rows: a threshold of anomalies, or quantiles."""

import math

import torch

from lightning_modules.data.batches import FixedLoader
from lightning_modules.training.learner import Learner
from lightning_modules.training.ranks import gather_ranks

MOST_NUMBERS = 30_000_000
"""Numbers that a rank collects; of more rows it takes one of so many, evenly."""


def fit_answer(learner: Learner, validation: FixedLoader) -> None:
    """Fits the answer on validation rows; an answer that fits nothing stays as it is.

    Args:
        learner: With its chosen weights; its answer is changed.
        validation: Rows of this rank.

    Raises:
        SpecError: There are too few rows to fit it on.
    """
    answer = learner.answer
    if not answer.fits:
        return
    learner.eval()
    device, collected = learner.device, []
    with torch.inference_mode():
        for batch in validation:
            output, features = learner.respond(batch.sample.to(device))
            truth, output = batch.truth.to(device), output.float()
            if batch.real is not None:
                output, features, truth = (part[batch.real] for part in (output, features, truth))
            found = answer.collect(output, features, truth).cpu()
            every = max(1, math.ceil(len(validation) * found.numel() / MOST_NUMBERS))
            collected.append(found[::every])
    answer.fit(gather_ranks(torch.cat(collected)))
