"""Fits what an answer learns from validation rows, such as the threshold of anomalies."""

import torch

from lightning_modules.data.batches import FixedLoader
from lightning_modules.training.learner import Learner
from lightning_modules.training.ranks import gather_ranks


def fit_answer(learner: Learner, validation: FixedLoader) -> None:
    """Fits the answer on validation rows; an answer that fits nothing stays as it is.

    Args:
        learner: With its chosen weights; its answer is changed.
        validation: Rows of this rank.

    Raises:
        SpecError: There are too few rows to fit it on.
    """
    answer = learner.answer
    if answer.choose_fitting(torch.zeros(1)) is None:
        return
    learner.eval()
    device = learner.device
    scores = []
    with torch.inference_mode():
        for batch in validation:
            chosen = answer.choose_fitting(batch.truth)
            if chosen is None:
                continue
            kept = chosen if batch.real is None else chosen & batch.real
            scores.append(learner.answer_samples(batch.sample.to(device))[-1].cpu()[kept])
    answer.fit(gather_ranks(torch.cat(scores)))
