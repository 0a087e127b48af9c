"""Pairs as they are stored: two vectors a row, and which of them is larger."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from storage.base.errors import InvalidInput
from storage.forms.base import RowsSpec
from storage.forms.form import Columns, Form, Mask, place_targets
from storage.forms.registry import FORMS
from storage.shards.row_ids import LABEL, Rows

LEFT, RIGHT = "left", "right"


class PairsSpec(RowsSpec):
    """Pairs of vectors.

    Attributes:
        kind: What the rows are.
        size: Numbers of a vector.
        labels: Names of the two sides.
    """

    kind: Literal["pairs"] = "pairs"
    size: int = Field(ge=1)
    labels: tuple[str, ...] = (LEFT, RIGHT)


class PairsForm(Form):
    """Pairs of vectors of one size."""

    name = "pairs"
    spec: ClassVar[type[RowsSpec]] = PairsSpec

    def read_arrays(
        self, values: NDArray[Any], targets: NDArray[Any], data: RowsSpec | None, where: str
    ) -> tuple[Rows, Columns]:
        """Makes `left` and `right` of values (N, 2, size)."""
        sides = values.astype(np.float32)
        return {LEFT: sides[:, 0], RIGHT: sides[:, 1], **place_targets(targets, None)}, {}

    def find_invalid(self, rows: Rows, data: RowsSpec) -> tuple[Mask, Mask]:
        """Marks pairs with a value that is no number, and those without a side."""
        if isinstance(data, PairsSpec) and rows[LEFT].shape[1:] != (data.size,):
            raise InvalidInput(f"pairs must be of {data.size} numbers; got {rows[LEFT].shape[1:]}")
        finite = np.isfinite(rows[LEFT]).all(axis=1) & np.isfinite(rows[RIGHT]).all(axis=1)
        return ~finite, (rows[LABEL] < 0) | (rows[LABEL] > 1)


FORMS.register("pairs", PairsForm())
