"""Answers that are quantiles of a number: between two of them lies a stated share of the cases.

They are trained by the pinball loss (Koenker and Bassett, 1978), put in order (Chernozhukov,
Fernandez-Val and Galichon, 2010), and calibrated on validation rows by conformalized quantile
regression, each end by itself (Romano, Patterson and Candes, 2019).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.errors import SpecError
from lightning_modules.objectives.base import Baseline, Batches, Judged
from lightning_modules.objectives.value_answer import ValueAnswer
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.quantiles import MEDIAN, list_bands, name_quantile


class PinballLoss(nn.Module):
    """Computes the loss whose least mean is at the quantiles.

    Args:
        levels: Q quantiles, ascending.
        axes: Axes of one answer.
    """

    levels: Tensor

    def __init__(self, levels: Sequence[float], axes: int) -> None:
        super().__init__()
        shaped = torch.tensor(levels).reshape(-1, *[1] * axes)
        self.register_buffer("levels", shaped, persistent=False)

    def forward(self, quantiles: Tensor, truth: Tensor) -> Tensor:
        """Returns the mean loss of quantiles (N, Q, ...) for truths of the same shape."""
        above = truth - quantiles
        return torch.maximum(self.levels * above, (self.levels - 1) * above).mean()


class QuantileAnswer(ValueAnswer):
    """Turns standardised quantiles into quantiles in the source's units, none of which cross.

    A network that answers once is taken for its own median; the calibration lays all other
    quantiles around it.

    Args:
        spec: The objective.
        levels: Q quantiles, ascending, with the median.
        shape: Of one answer: (), or (H, T).
        mean: Of each value over the training rows.
        std: Its standard deviation.
        standard: Whether the watched error stays in standard deviations.

    Attributes:
        margins: Buffer (Q, *shape) float32, in standard deviations: what the calibration adds to
            each quantile, 0 to the median.
    """

    margins: Tensor
    fits = True

    def __init__(
        self,
        spec: ObjectiveSpec,
        levels: Sequence[float],
        shape: tuple[int, ...],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        standard: bool,
    ) -> None:
        super().__init__(spec, PinballLoss(levels, len(shape)), mean, std, standard=standard)
        self.levels, self.shape = tuple(levels), shape
        self.median = self.levels.index(MEDIAN)
        self.register_buffer("margins", torch.zeros(len(levels), *shape))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the exported outputs: the other quantiles, then the median."""
        return (*map(name_quantile, self.bands), *self.spec.outputs)

    @property
    def bands(self) -> tuple[float, ...]:
        """The quantiles beside the median."""
        return list_bands(self.levels)

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the other quantiles and the median, each (N,) or (N, H, T) float32."""
        del features
        values = list(self._list_calibrated(output).unbind(1))
        for place in range(self.median + 1, len(values)):
            values[place] = torch.maximum(values[place], values[place - 1])
        for place in reversed(range(self.median)):
            values[place] = torch.minimum(values[place], values[place + 1])
        told = [
            (part.to(torch.float64) * self.scale + self.offset).to(torch.float32) for part in values
        ]
        return (*told[: self.median], *told[self.median + 1 :], told[self.median])

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the loss over the values that there are, the median's error, and the rows."""
        del features
        quantiles = self._list_calibrated(output)
        standard = self.aim(truth).to(quantiles.dtype).unsqueeze(1)
        known = ~torch.isnan(standard)
        wanted = torch.where(known, standard, quantiles.detach())
        error = (quantiles.detach() - wanted)[:, self.median].abs()
        if not self.standard:
            error = error * self.scale
        share = error.sum() / known.sum().clamp(min=1)
        return self.loss(quantiles, wanted), share * len(truth), len(truth)

    def collect(self, output: Tensor, features: Tensor, truth: Tensor) -> Tensor:
        """Returns how far each truth lies above each quantile, (N, Q, ...), NaN where unknown."""
        del features
        quantiles = self._list_calibrated(output) - self.margins
        return self.aim(truth).to(quantiles.dtype).unsqueeze(1) - quantiles

    def fit(self, collected: Tensor) -> None:
        """Sets the margins, with which each quantile has its share of the validation rows."""
        least = max(math.ceil(1 / min(level, 1 - level)) - 1 for level in self.levels)
        if len(collected) < least:
            raise SpecError(
                f"validation split must hold at least {least} rows or windows to calibrate the "
                f"quantiles {list(self.levels)} on; got {len(collected)}; change data.split, or "
                "ask for quantiles nearer to 0.5"
            )
        self.margins.copy_(measure_margins(collected, self.levels))

    def _list_calibrated(self, output: Tensor) -> Tensor:
        """Returns quantiles (N, Q, *shape), in standard deviations: in order, then calibrated."""
        # The output is (N, Q * H, T), or (N, Q); with 1 for Q where a network answers once.
        steps = self.shape[0] if self.shape else 1
        # By the count of quantiles, not of rows, of which an exported network takes any number.
        quantiles = output.reshape(-1, output.shape[1] // steps, *self.shape)
        if quantiles.shape[1] > 1:
            quantiles = quantiles.sort(1).values
        return quantiles + self.margins


def measure_margins(above: Tensor, levels: Sequence[float]) -> Tensor:
    """Returns what to add to quantiles so that each has its share of some rows, (Q, ...).

    The lower ones are moved so far that at most their share lies below, the upper ones so far that
    at least theirs does, with the correction for finitely many rows. The median stays as it is, and
    so does a place of which no row knows the truth.

    Args:
        above: (N, Q, ...) how far truths lie above the quantiles; NaN where one is unknown.
        levels: Q quantiles.
    """
    ordered = above.sort(0).values  # What is unknown comes last.
    known = (~torch.isnan(above)).sum(0)
    margins = torch.zeros_like(above[0])
    for place, level in enumerate(levels):
        if level == MEDIAN:
            continue
        rank = (known[place] + 1) * level
        whole = torch.ceil(rank - 1e-6) if level > MEDIAN else torch.floor(rank + 1e-6)
        chosen = torch.minimum(whole.long(), known[place]).clamp(min=1) - 1
        found = ordered[:, place].gather(0, chosen.unsqueeze(0))[0]
        margins[place] = torch.where(known[place] > 0, found, margins[place])
    return margins


def calibrate_baselines(
    baselines: Mapping[str, Baseline], levels: Sequence[float], rows: Callable[[], Batches]
) -> dict[str, NDArray[np.float32]]:
    """Returns the margins that make quantiles of each baseline's answers, (Q, ...) float32.

    Args:
        baselines: Fitted ones.
        levels: Q quantiles.
        rows: Opens validation rows; of none nothing is returned.
    """
    above: dict[str, list[NDArray[np.float32]]] = {name: [] for name in baselines}
    for batch in rows():
        for name, baseline in baselines.items():
            above[name].append((batch.truth - baseline.answer(batch)).astype(np.float32))
    return {
        name: _measure_once(np.concatenate(parts), levels) for name, parts in above.items() if parts
    }


def _measure_once(above: NDArray[np.float32], levels: Sequence[float]) -> NDArray[np.float32]:
    """Returns the margins around one answer, of which truths lie so far above, (Q, ...)."""
    once = torch.from_numpy(above).unsqueeze(1)
    return measure_margins(once.expand(-1, len(levels), *above.shape[1:]), levels).numpy()
