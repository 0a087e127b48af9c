"""Answers of a trained network for every row of a stream, on one rank or shared out over all of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.data import FixedLoader, Stream
from lightning_modules.learner import Learner


@dataclass(frozen=True)
class Answers:
    """One answer a row, ordered by row id, the same for any number of ranks.

    Attributes:
        row_id: (N,) uint64.
        label: (N,) int64, the truth.
        probabilities: (N, K) float32.
    """

    row_id: NDArray[np.uint64]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """Fraction of rows answered right."""
        return float((self.probabilities.argmax(1) == self.label).mean())

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood, in nats."""
        truth = self.probabilities[np.arange(len(self.label)), self.label].astype(np.float64)
        return float(-np.log(np.maximum(truth, 1e-38)).mean())


def predict_rows(learner: Learner, stream: Stream) -> Answers:
    """Answers every row of an unshuffled stream.

    Args:
        learner: A trained one; its device is used.
        stream: Rows of this rank; every rank yields the same number of batches.

    Returns:
        The answers of all ranks together, on each of them.
    """
    learner.eval()
    device = next(iter(learner.network.parameters())).device
    row_ids, labels, answers, reals = [], [], [], []
    with torch.inference_mode():
        for batch in FixedLoader(stream):
            probabilities = torch.softmax(learner(batch.image.to(device)).float(), 1)
            # As int64: collective operations know no uint64, and the bits are the same.
            row_ids.append(torch.from_numpy(batch.row_id.view(np.int64)))
            labels.append(batch.label)
            answers.append(probabilities.cpu())
            reals.append(torch.ones(len(batch.label), dtype=torch.bool) if batch.real is None else batch.real)
    gathered = [gather_ranks(torch.cat(part)) for part in (row_ids, labels, answers, reals)]
    row_id, label, probability, real = (part.numpy() for part in gathered)
    row_id = row_id[real].view(np.uint64)
    order = np.argsort(row_id, kind="stable")
    return Answers(row_id[order], label[real][order], probability[real][order])


def gather_ranks(values: Tensor) -> Tensor:
    """The rows of all ranks, one after the other; the values themselves where there is one rank only."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    on_gpu = dist.get_backend() == "nccl"
    mine: Any = values.cuda() if on_gpu else values
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, mine)
    return torch.cat(parts).cpu()
