"""Looks at rows of columns for the label probe: numbers, their squares and categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.datasets.version import Version
from storage.forms.columns import NUMBERS, name_field
from storage.forms.table import TableSpec
from storage.shards.row_ids import VALID_SUFFIX, Rows
from tasks.forms.table.predictors import code_texts

TEXT_CODES = 64


@dataclass(frozen=True)
class ColumnFeatures:
    """Looks at numbers and texts of rows.

    Attributes:
        numbers: Columns of numbers.
        texts: Columns of text.
        scales: Mean and standard deviation of each column of numbers in the accepted version, (2,
            D).
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    scales: NDArray[np.float64]

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Return standardised numbers, their squares, and texts by category, (N, F)."""
        parts: list[NDArray[Any]] = []
        if NUMBERS in rows:
            usable = rows[NUMBERS + VALID_SUFFIX] & np.isfinite(rows[NUMBERS])
            scaled = np.where(usable, (rows[NUMBERS] - self.scales[0]) / self.scales[1], 0.0)
            parts += [np.clip(scaled, -8, 8), np.square(np.clip(scaled, -3, 3))]
        for name in self.texts:
            codes = code_texts(rows[name_field(name, self.texts)]).astype(np.int64)
            parts.append(np.eye(TEXT_CODES)[codes])
        return np.concatenate(parts, axis=1).astype(np.float32)

    def spread(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one value a column, from 0 to 1; numbers reach four deviations each way."""
        numbers = len(self.numbers)
        texts = features[:, 2 * numbers :].reshape(len(features), len(self.texts), TEXT_CODES)
        codes = texts.argmax(axis=2) / TEXT_CODES
        scaled = features[:, :numbers] / 8 + 0.5
        return np.concatenate([scaled, codes], axis=1).astype(np.float32)

    def name(self, count: int) -> Sequence[str]:
        """Name the columns."""
        return (*self.numbers, *self.texts)


def make_features(accepted: Version, data: TableSpec) -> ColumnFeatures:
    """Make features that are scaled by the statistics of the accepted version."""
    statistics = accepted.statistics()
    found = [statistics[f"{NUMBERS}.{name}"] for name in data.numbers]
    means, deviations = [each.mean or 0.0 for each in found], [each.std or 1.0 for each in found]
    return ColumnFeatures(data.numbers, data.texts, np.array([means, deviations]))
