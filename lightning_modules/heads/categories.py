"""Categories of rows: as features, and what a forecast makes of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.specs.samples import CategoryColumn

HIDDEN = 32


class Categories(nn.Module):
    """Turns places in a vocabulary into one-hot vectors, a learned embedding, or how often each is.

    What is missing or unknown is all zeros.

    Args:
        columns: The columns of categories.
        embed: Features of each column's embedding; None: one-hot.
    """

    def __init__(self, columns: Sequence[CategoryColumn], embed: int | None) -> None:
        super().__init__()
        self.sizes = tuple(len(column.vocabulary) for column in columns)
        self.counted = tuple(bool(column.frequencies) for column in columns)
        self.tables = (
            nn.ModuleList(
                nn.Identity() if counted else nn.Linear(size, embed, bias=False)
                for size, counted in zip(self.sizes, self.counted, strict=True)
            )
            if embed
            else None
        )
        for place, column in enumerate(columns):
            if column.frequencies:
                often = torch.tensor(column.frequencies, dtype=torch.float32)[:, None]
                self.register_buffer(f"frequencies_{place}", often)

    def forward(self, codes: Tensor) -> Tensor:
        """Turns (..., columns) float64 into (..., width) float32."""
        parts = []
        for place, size in enumerate(self.sizes):
            column = codes[..., place : place + 1]
            if self.counted[place]:
                parts.append(look_up(column, getattr(self, f"frequencies_{place}")))
                continue
            table = self.tables[place] if self.tables is not None else None
            if isinstance(table, nn.Linear) and codes.ndim > 2:
                parts.append(look_up(column, table.weight.t()))
                continue
            known = torch.arange(size, dtype=codes.dtype, device=codes.device)
            one_hot = (column == known).to(torch.float32)
            parts.append(table(one_hot) if table is not None else one_hot)
        return torch.cat(parts, -1)


def look_up(codes: Tensor, rows: Tensor) -> Tensor:
    """Returns the row of each place, zeros where it is none: of windows, one-hot is too wide.

    Args:
        codes: (..., 1) places, NaN where there is none.
        rows: (size, width).

    Returns:
        (..., width), the type of the rows.
    """
    size = len(rows)
    known = (codes >= 0) & (codes < size) & (codes == torch.floor(codes))
    places = torch.where(known, codes, torch.full_like(codes, size)).to(torch.int64)
    return functional.embedding(places[..., 0], torch.cat([rows, torch.zeros_like(rows[:1])]))


class CategoryTerm(nn.Module):
    """Adds to a forecast what the categories of the last step, with its calendar, make of it.

    So a network that looks at each column by itself tells entities and categories apart, too.

    Args:
        network: (N, L, C) to (N, Q * H, T).
        last: Number of the last step of the past.
        places: Places of the features of categories and calendar.
        outputs: (Q * H, T).
    """

    places: Tensor

    def __init__(
        self, network: nn.Module, last: int, places: Sequence[int], outputs: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.last, self.outputs = last, outputs
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)
        self.term = nn.Sequential(
            nn.Linear(len(places), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs[0] * outputs[1])
        )

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into (N, Q * H, T) float32."""
        answer: Tensor = self.network(features)
        told = features[:, self.last].index_select(1, self.places)
        term: Tensor = self.term(told)
        return answer + term.reshape(-1, *self.outputs)
