"""The head of tables and series: raw columns to features, with everything that was fitted inside (DESIGN section 3)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.errors import SpecError
from lightning_modules.heads.time_filters import Denoiser
from lightning_modules.specs.components import build_component, load_component
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import NumberColumn, RowSample

PERIODS_S = {"day": 86_400.0, "week": 7 * 86_400.0, "year": 365.2425 * 86_400.0}


class Categories(nn.Module):
    """Places in a vocabulary to one-hot vectors, or to a learned embedding; all zeros where missing or unknown.

    Args:
        sizes: Texts of each vocabulary.
        embed: Features of each column's embedding; None: one-hot.
    """

    def __init__(self, sizes: Sequence[int], embed: int | None) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.tables = (
            nn.ModuleList(nn.Linear(size, embed, bias=False) for size in sizes) if embed else None
        )
        self.width = embed * len(self.sizes) if embed else sum(self.sizes)

    def forward(self, codes: Tensor) -> Tensor:
        """(..., columns) float64 to (..., width) float32."""
        parts = []
        for place, size in enumerate(self.sizes):
            known = torch.arange(size, dtype=codes.dtype, device=codes.device)
            one_hot = (codes[..., place : place + 1] == known).to(torch.float32)
            parts.append(self.tables[place](one_hot) if self.tables is not None else one_hot)
        return torch.cat(parts, -1)


class Combinations(nn.Module):
    """Products and differences of pairs of columns, taken in the columns' own units and normalised behind it.

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
                math.hypot(left.std * right.mean, right.std * left.mean, left.std * right.std)
            )
        for left, right in ((numbers[left], numbers[right]) for left, right in self.differences):
            levels.append(left.mean - right.mean)
            scales.append(math.hypot(left.std, right.std))
        scaled = spec.normalise == "standard"
        gains = [1.0 / scale if scaled and scale > 0 else 1.0 for scale in scales]
        self.register_buffer(
            "offset", torch.tensor(levels if scaled else [0.0] * self.width, dtype=torch.float64)
        )
        self.register_buffer("gain", torch.tensor(gains, dtype=torch.float64))

    def forward(self, numbers: Tensor) -> Tensor:
        """Raw numbers (N, columns) float64, NaN where missing, to (N, width) float32: products, then differences."""
        parts = [numbers[..., left] * numbers[..., right] for left, right in self.products]
        parts += [numbers[..., left] - numbers[..., right] for left, right in self.differences]
        combined = (torch.stack(parts, -1) - self.offset) * self.gain
        return torch.where(torch.isnan(combined), torch.zeros_like(combined), combined).to(
            torch.float32
        )


def find_pair(pair: tuple[str, str], names: Sequence[str], what: str, sign: str) -> tuple[int, int]:
    """Places of two columns.

    Raises:
        SpecError: There is no column of that name.
    """
    unknown = [name for name in pair if name not in names]
    if unknown:
        raise SpecError(
            f"{what} ({f' {sign} '.join(pair)}) must combine columns of data.numbers; got no "
            f"{', '.join(unknown)}; choose "
            f"among {', '.join(names)}"
        )
    left, right = pair
    return names.index(left), names.index(right)


class RowHead(nn.Module):
    """Raw columns to features: numbers first, those that are forecast at their head, then what stands beside them.

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

    def __init__(self, sample: RowSample, spec: HeadSpec) -> None:
        super().__init__()
        scaled = spec.normalise == "standard"
        offset = [column.mean if scaled else 0.0 for column in sample.numbers]
        gain = [1.0 / column.std if scaled and column.std > 0 else 1.0 for column in sample.numbers]
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
        self.mask = sample.window is None if spec.mask is None else spec.mask
        self.denoiser = (
            Denoiser(spec.denoise) if spec.denoise is not None and self.numbers else None
        )
        sizes = [len(column.vocabulary) for column in sample.categories]
        self.categories = Categories(sizes, spec.embed) if sizes else None
        self.combinations = (
            Combinations(sample.numbers, spec) if spec.products or spec.differences else None
        )
        self.width = (
            self.numbers * (2 if self.mask else 1)
            + (self.combinations.width if self.combinations else 0)
            + (self.categories.width if self.categories else 0)
            + 2 * len(spec.calendar)
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Raw values (N, D) or (N, L, D) float64, NaN where missing, to features (N, width) or (N, L, width) float32."""
        numbers = raw[..., : self.numbers]
        missing = torch.isnan(numbers)
        values = torch.where(
            missing, torch.zeros_like(numbers), (numbers - self.offset) * self.gain
        ).to(torch.float32)
        if self.denoiser is not None:
            values = self.denoiser(values)
        parts = [values]
        if self.mask and self.numbers:
            parts.append(missing.to(torch.float32))
        if self.combinations is not None:
            parts.append(self.combinations(numbers))
        if self.categories is not None:
            parts.append(self.categories(raw[..., self.numbers : self.columns]))
        if len(self.periods):
            turns = raw[..., -1:] / self.periods
            angle = (2.0 * math.pi * (turns - torch.floor(turns))).to(torch.float32)
            parts += [torch.sin(angle), torch.cos(angle)]
        return torch.cat(parts, -1) if len(parts) > 1 else values


class InstanceNormalised(nn.Module):
    """A network that sees each window of numbers by its own mean and deviation, and gives them back to what it forecasts.

    Reversible instance normalisation (Kim et al., 2022), without its learned scale.

    Args:
        network: (N, L, C) to (N, H, T), or to anything else where nothing is forecast.
        numbers: Channels, from the first on, that are normalised.
        forecast: Channels, from the first on, that are given back their level and scale; 0 for
            none.
    """

    EPSILON = 1e-5

    def __init__(self, network: nn.Module, numbers: int, forecast: int) -> None:
        super().__init__()
        self.network = network
        self.numbers = numbers
        self.forecast = forecast

    def forward(self, features: Tensor) -> Tensor:
        """(N, L, C) float32 to what the network gives."""
        values = features[..., : self.numbers]
        level = values.mean(1, keepdim=True)
        scale = torch.sqrt((values - level).square().mean(1, keepdim=True) + self.EPSILON)
        normalised = torch.cat([(values - level) / scale, features[..., self.numbers :]], -1)
        answer: Tensor = self.network(normalised)
        if not self.forecast:
            return answer
        return answer * scale[..., : self.forecast] + level[..., : self.forecast]


def build_row_head(spec: HeadSpec, sample: RowSample) -> nn.Module:
    """The head that a recipe asks for, and a check that it gives features.

    Raises:
        SpecError: A user's own head cannot be built, or gives no features.
    """
    if spec.name == "standard":
        return RowHead(sample, spec)
    builder = load_component(spec.name, what="head", known={})
    head = build_component(builder, sample, spec, what="head", name=spec.name, **spec.params)
    if not isinstance(head, nn.Module):
        raise SpecError(
            f"head ({spec.name!r}) must build a torch.nn.Module; got {type(head).__name__}; return "
            "one"
        )
    return head


def probe_features(head: nn.Module, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one sample behind the head.

    Raises:
        SpecError: The head does not take such samples, or gives no features (N, ...) in float32.
    """
    try:
        with torch.no_grad():
            features = head(torch.zeros((2, *shape), dtype=torch.float64))
    except Exception as error:
        raise SpecError(
            f"head ({name!r}) must take samples of the shape {shape}; got {type(error).__name__}: "
            f"{error}; correct it"
        ) from error
    if (
        not isinstance(features, Tensor)
        or features.dtype != torch.float32
        or len(features) != 2
        or features.ndim < 2
    ):
        got = (
            f"{tuple(features.shape)} {features.dtype}"
            if isinstance(features, Tensor)
            else type(features).__name__
        )
        raise SpecError(
            f"head ({name!r}) must give float32 features (N, ...); got {got}; correct it"
        )
    return tuple(features.shape[1:])
