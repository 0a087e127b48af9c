"""What a form of rows is: everything that storage must know of images, tables or series by itself.

A new form is a subclass here, registered in `storage.forms.registry.FORMS`; a plug-in registers its
own from its module `storage`. What the base does suits any rows of arrays, so that a form states
only what is its own: its data section, which rows are valid, and what is fitted on them.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import find_missing
from storage.forms.base import RowsSpec
from storage.forms.columns import TARGET, build_rows
from storage.forms.measures import Measured, Moments, list_texts, measure_target
from storage.forms.parsing import mask_numbers
from storage.forms.remaining import Ends
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows, count_rows

if TYPE_CHECKING:
    import pyarrow as pa

Columns = dict[str, tuple[str, ...]]
"""Names of the columns of two-dimensional fields."""
Mask = NDArray[np.bool_]
_WHOLE = re.compile(r"-?\d+")


class Form:
    """One form of rows.

    Attributes:
        name: What a recipe's `data.kind` says.
        spec: Class of the data section.
        ordered: Whether rows are kept in the order of their fields `series_id` and `time`, and not
            shuffled.
    """

    name: ClassVar[str]
    spec: ClassVar[type[RowsSpec]] = RowsSpec
    ordered: ClassVar[bool] = False

    def read_table(self, table: "pa.Table", data: RowsSpec) -> tuple[Rows, Columns]:
        """Makes fields of the columns of a file.

        Args:
            table: A pyarrow table with the columns of `data`, of numbers or text; null where a
                value is missing.
            data: The data section.
        """
        return build_rows(table, data)

    def read_arrays(
        self, values: NDArray[Any], targets: NDArray[Any], data: RowsSpec | None, where: str
    ) -> tuple[Rows, Columns]:
        """Makes fields of a pair of arrays: features (N, ...), and labels or targets (N,).

        Args:
            values: The features.
            targets: Labels, or targets where the data section names one.
            data: The data section; None where nothing is declared.
            where: Address of the arrays, for messages.

        Raises:
            SourceError: The arrays are not what the data section declares.
        """
        return {"values": values, **place_targets(targets, data)}, {}

    def count_array_bytes(self, shape: tuple[int, ...], item_bytes: int) -> int:
        """Return the decoded bytes of one row of an array of features, of that shape."""
        return prod(shape) * item_bytes

    def describe_survey(self, data: RowsSpec) -> RowsSpec | None:
        """Return what is looked at in all rows before they are read; None for nothing."""
        return None

    def survey(self, rows: Rows, data: RowsSpec) -> Ends:
        """Return what some rows tell of others, by entity; `rows` are as `describe_survey` says."""
        return {}

    def complete(self, rows: Rows, data: RowsSpec, ends: Ends) -> Rows:
        """Return rows with what follows from the survey of all."""
        return rows

    def settle(self, rows: Rows, data: RowsSpec) -> Rows:
        """Return some rows with what would follow if they were all that there are."""
        return rows

    def find_invalid(self, rows: Rows, data: RowsSpec) -> tuple[Mask, Mask]:
        """Marks rows whose features, and rows whose label or target, break what is declared.

        Returns:
            Two masks of shape (N,).

        Raises:
            InvalidInput: A field is absent, or has the wrong type or shape.
        """
        none = np.zeros(count_rows(rows), dtype=np.bool_)
        return none, none

    def drop_masks(self, rows: Rows) -> Rows:
        """Takes the masks out that say nothing any more once invalid rows have gone."""
        return rows

    def measure_features(self, rows: Rows) -> Moments:
        """Measures the mean and spread that the head brings features to."""
        return Moments()

    def measure(self, rows: Rows, data: RowsSpec) -> Measured:
        """Measures what one shard of the training split contributes to what is fitted."""
        classes = np.zeros(0, dtype=np.int64)
        if data.labels:
            classes = np.bincount(rows[LABEL], minlength=len(data.labels))
        return Measured(
            rows=count_rows(rows),
            moments=self.measure_features(rows),
            target=measure_target(rows[TARGET]) if TARGET in rows else Moments(),
            class_counts=tuple(classes.tolist()),
            texts=list_texts(rows, data.texts),
        )


def number_classes(targets: NDArray[Any], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each row's class among the names of the classes, (N,).

    A text is a class's name, and -1 is where none has it. A whole number is, too, where all names
    are whole numbers; else, and where these are the places in any order, it is the place itself,
    also past the last one.
    """
    if targets.dtype.kind != "U":
        targets = targets.astype(np.int64)
        counted = [str(place) for place in range(len(labels))]
        if sorted(labels) == sorted(counted) or not all(
            _WHOLE.fullmatch(label) for label in labels
        ):
            return targets
    known = {label: place for place, label in enumerate(labels)}
    found, places = np.unique(targets, return_inverse=True)
    numbers = [known.get(str(name).strip(), -1) for name in found.tolist()]
    return np.array(numbers, dtype=np.int64)[places.reshape(targets.shape)]


def place_targets(targets: NDArray[Any], data: RowsSpec | None) -> Rows:
    """Return the fields of labels, and of targets where the data section names one."""
    if data is None or (data.label is None and data.target is None):
        return {LABEL: targets.astype(np.int64)}
    rows: Rows = {}
    if data.label is not None:
        rows[LABEL] = number_classes(targets, data.labels)
        rows[LABEL + VALID_SUFFIX] = np.ones(len(targets), dtype=np.bool_)
    if data.target is not None:
        given = targets.astype(np.float64)
        missing = find_missing(data.missing)
        rows[TARGET], rows[TARGET + VALID_SUFFIX] = mask_numbers(given, ~np.isnan(given), missing)
    return rows
