"""Where normal ends: the threshold of anomaly detection, fitted on normal validation rows."""

import torch

from lightning_modules.data.batches import FixedLoader
from lightning_modules.errors import SpecError
from lightning_modules.objectives.answers import ReconstructionAnswer
from lightning_modules.training.learner import Learner
from lightning_modules.training.ranks import gather_ranks


def fit_threshold(learner: Learner, validation: FixedLoader, quantile: float) -> None:
    """Sets the score that so many normal validation rows stay below; does nothing for another task.

    Args:
        learner: With its chosen weights, which are changed.
        validation: Rows of this rank.
        quantile: In (0, 1).

    Raises:
        SpecError: No validation row is normal.
    """
    answer = learner.answer
    if not isinstance(answer, ReconstructionAnswer):
        return
    learner.eval()
    device = answer.threshold.device
    scores = []
    with torch.inference_mode():
        for batch in validation:
            normal = batch.truth == 0
            kept = normal if batch.real is None else normal & batch.real
            scores.append(learner.answer_samples(batch.sample.to(device))[-1].cpu()[kept])
    normal_scores = gather_ranks(torch.cat(scores))
    if not len(normal_scores):
        raise SpecError(
            "validation split must hold normal rows to fit the threshold on; got none; change "
            "data.split or the first of "
            "data.labels, which is what is normal"
        )
    answer.threshold.fill_(float(normal_scores.double().quantile(quantile)))
