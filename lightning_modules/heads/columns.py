"""The head of rows: raw columns to features, with everything that was fitted inside."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.errors import SpecError
from lightning_modules.heads.categories import Categories
from lightning_modules.heads.entity_scale import EntityScale
from lightning_modules.heads.layout import DATE_PARTS, lay_out
from lightning_modules.heads.time_filters import Denoiser
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import NumberColumn, RowSample

PERIODS_S = {"day": 86_400.0, "week": 7 * 86_400.0, "year": 365.2425 * 86_400.0}


class Combinations(nn.Module):
    """Takes products and differences of pairs of columns in their own units, then normalises.

    A product of normalised columns would be another quantity: power is torque times speed, not
    their distances from the mean. Level and scale are those of independent columns, which follow
    from the columns' own; a combination with a missing value is at its level.

    Args:
        numbers: The columns.
        spec: Which pairs, and whether anything is normalised.

    Raises:
        SpecError: A pair names a column that there is not.
    """

    offset: Tensor
    gain: Tensor

    def __init__(self, numbers: Sequence[NumberColumn], spec: HeadSpec) -> None:
        super().__init__()
        names = [column.name for column in numbers]
        self.products = [find_pair(pair, names, "products", "*") for pair in spec.products]
        self.differences = [find_pair(pair, names, "differences", "-") for pair in spec.differences]
        self.width = len(self.products) + len(self.differences)
        levels, scales = [], []
        for left, right in ((numbers[left], numbers[right]) for left, right in self.products):
            levels.append(left.mean * right.mean)
            scales.append(
                math.hypot(
                    left.spread * right.mean, right.spread * left.mean, left.spread * right.spread
                )
            )
        for left, right in ((numbers[left], numbers[right]) for left, right in self.differences):
            levels.append(left.mean - right.mean)
            scales.append(math.hypot(left.spread, right.spread))
        scaled = spec.normalise == "standard"
        gains = [1.0 / scale if scaled and scale > 0 else 1.0 for scale in scales]
        self.register_buffer(
            "offset", torch.tensor(levels if scaled else [0.0] * self.width, dtype=torch.float64)
        )
        self.register_buffer("gain", torch.tensor(gains, dtype=torch.float64))

    def forward(self, numbers: Tensor) -> Tensor:
        """Turns raw numbers (N, columns) float64, NaN where missing, into (N, width) float32.

        Products come first, then differences.
        """
        parts = [numbers[..., left] * numbers[..., right] for left, right in self.products]
        parts += [numbers[..., left] - numbers[..., right] for left, right in self.differences]
        combined = (torch.stack(parts, -1) - self.offset) * self.gain
        return torch.where(torch.isnan(combined), torch.zeros_like(combined), combined).to(
            torch.float32
        )


def find_pair(pair: tuple[str, str], names: Sequence[str], what: str, sign: str) -> tuple[int, int]:
    """Returns the places of two columns.

    Raises:
        SpecError: There is no column of that name.
    """
    unknown = [name for name in pair if name not in names]
    if unknown:
        raise SpecError(
            f"{what} ({f' {sign} '.join(pair)}) must combine columns of data.numbers; got no "
            f"{', '.join(unknown)}; choose among {', '.join(names)}"
        )
    left, right = pair
    return names.index(left), names.index(right)


class RowHead(nn.Module):
    """Turns raw columns into features, those of numbers first.

    The numbers that are forecast stand at their head.

    Numbers are normalised in float64, so that large ones keep their digits; a missing one becomes
    the training mean.

    Args:
        sample: What a row is, and what was fitted on the training rows.
        spec: What is done to it.

    Attributes:
        offset: Buffer (numbers,) float64, in units of the raw values.
        gain: Buffer (numbers,) float64, 1 / unit of the raw values.
        width: Features of a row.
    """

    offset: Tensor
    gain: Tensor
    periods: Tensor
    parts: Tensor

    def __init__(self, sample: RowSample, spec: HeadSpec) -> None:
        super().__init__()
        scaled = spec.normalise != "none"
        offset = [column.mean if scaled else 0.0 for column in sample.numbers]
        gain = [1.0 / (column.spread or 1.0) if scaled else 1.0 for column in sample.numbers]
        self.numbers, self.columns = (
            len(sample.numbers),
            len(sample.numbers) + len(sample.categories),
        )
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float64))
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float64))
        self.register_buffer(
            "periods",
            torch.tensor([PERIODS_S[name] for name in spec.calendar], dtype=torch.float64),
        )
        self.dates = [n for n, column in enumerate(sample.numbers) if column.date]
        self.register_buffer(
            "parts",
            torch.tensor([PERIODS_S[name] for name in DATE_PARTS], dtype=torch.float64),
            persistent=False,
        )
        layout = lay_out(sample, spec)
        self.mask, self.width = bool(layout.mask), layout.width
        self.entity_scale = EntityScale(sample) if spec.normalise == "entity" else None
        self.denoiser = (
            Denoiser(spec.denoise) if spec.denoise is not None and self.numbers else None
        )
        self.categories = Categories(sample.categories, spec.embed) if sample.categories else None
        self.combinations = (
            Combinations(sample.numbers, spec) if spec.products or spec.differences else None
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Turns raw values (N, D) or (N, L, D) float64 into features of the same rows, float32.

        A missing value is NaN.
        """
        numbers = raw[..., : self.numbers]
        missing = torch.isnan(numbers)
        scaled = (numbers - self.offset) * self.gain
        scales: list[Tensor] = []
        if self.entity_scale is not None:
            scaled, told = self.entity_scale(scaled, raw[..., self.numbers : self.columns])
            scales.append(told)
        values = torch.where(missing, torch.zeros_like(numbers), scaled).to(torch.float32)
        if self.denoiser is not None:
            values = self.denoiser(values)
        parts = [values]
        if self.mask:
            parts.append(missing.to(torch.float32))
        if self.combinations is not None:
            parts.append(self.combinations(numbers))
        if self.categories is not None:
            parts.append(self.categories(raw[..., self.numbers : self.columns]))
        parts += [self._part_date(numbers[..., place : place + 1]) for place in self.dates]
        if len(self.periods):
            turns = raw[..., -1:] / self.periods
            angle = (2.0 * math.pi * (turns - torch.floor(turns))).to(torch.float32)
            parts += [torch.sin(angle), torch.cos(angle)]
        parts += scales
        return torch.cat(parts, -1) if len(parts) > 1 else values

    def _part_date(self, seconds: Tensor) -> Tensor:
        """Turns a date (N, 1) into where it lies in the day, the week and the year, (N, 6) float32.

        Of a missing one all are 0.
        """
        missing = torch.isnan(seconds)
        turns = torch.where(missing, torch.zeros_like(seconds), seconds) / self.parts
        angle = (2.0 * math.pi * (turns - torch.floor(turns))).to(torch.float32)
        known = (~missing).to(torch.float32)
        return torch.cat([torch.sin(angle) * known, torch.cos(angle) * known], -1)
