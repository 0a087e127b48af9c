"""Answers every row of a stream with a trained network, on one rank or over all of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_modules.data.batches import IMAGES, FixedLoader, Stream
from lightning_modules.data.readers import SampleReader
from lightning_modules.training.learner import Learner
from lightning_modules.training.ranks import gather_ranks


@dataclass(frozen=True)
class Answers:
    """One answer a row or window, ordered by row id, the same for any number of ranks.

    Attributes:
        row_id: (N,) uint64.
        truth: (N,) int64 labels, or (N,) or (N, H, T) float64 values, NaN where there is none.
        values: (N, K) probabilities, (N,) scores, or values of the truth's shape, float32.
        figures: Mean loss, and the figure that was watched, by name.
        bands: Values of the same shape of each quantile beside the median, which the values are.
        baselines: Values of the same shape of each baseline, by name.
    """

    row_id: NDArray[np.uint64]
    truth: NDArray[Any]
    values: NDArray[np.float32]
    figures: dict[str, float]
    bands: dict[float, NDArray[np.float32]] = field(default_factory=dict)
    baselines: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def predict_rows(learner: Learner, stream: Stream, reader: SampleReader = IMAGES) -> Answers:
    """Answers every row of an unshuffled stream.

    Args:
        learner: A trained one; its device is used.
        stream: Rows of this rank; every rank yields the same number of batches.
        reader: From rows of the stream to samples.

    Returns:
        The answers of all ranks together, on each of them.
    """
    learner.eval()
    device = learner.device
    row_ids, truths, answers, sums = [], [], [], torch.zeros(1, 3, dtype=torch.float64)
    with torch.inference_mode():
        for batch in FixedLoader(stream, reader):
            real = (
                torch.ones(len(batch.truth), dtype=torch.bool) if batch.real is None else batch.real
            )
            output, features = learner.respond(batch.sample.to(device))
            output, features, truth = output.float()[real], features[real], batch.truth[real]
            # As int64: collective operations know no uint64, and the bits are the same.
            row_ids.append(torch.from_numpy(batch.row_id.view(np.int64))[real])
            truths.append(truth)
            answers.append([part.cpu() for part in learner.answer(output, features)])
            if len(truth):
                loss, figure, rows = learner.answer.judge(output, features, truth.to(device))
                sums += torch.tensor(
                    [float(loss) * rows, float(figure), float(rows)], dtype=torch.float64
                )
    told = [torch.cat(parts) for parts in zip(*answers, strict=True)]
    levels = learner.answer.bands
    kept = (torch.cat(row_ids), torch.cat(truths), told[-1], *told[: len(levels)])
    gathered = [gather_ranks(part).numpy() for part in kept]
    loss_sum, figure_sum, rows_sum = gather_ranks(sums).sum(0).tolist()
    row_id = gathered[0].view(np.uint64)
    order = np.argsort(row_id, kind="stable")
    figures = {
        "loss": loss_sum / max(rows_sum, 1.0),
        learner.answer.spec.watched.name: figure_sum / max(rows_sum, 1.0),
    }
    bands = {level: part[order] for level, part in zip(levels, gathered[3:], strict=True)}
    return Answers(row_id[order], gathered[1][order], gathered[2][order], figures, bands)
