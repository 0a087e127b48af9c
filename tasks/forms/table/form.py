"""Tells tasks of tables: named columns of numbers and texts, in any order of their rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import Card, InputSpec
from gates.raw.column_facts import ColumnsFacts
from gates.specs.raw import RawGate
from lightning_modules.data.readers import RowReader
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import RowSample
from storage.base.parallel import TaskClient
from storage.datasets.version import Version
from storage.forms.columns import TARGET
from storage.forms.table import TableSpec
from storage.pipeline.fitted import Fitted
from storage.shards.row_ids import Rows
from tasks.forms.base import Drawing, RowMarker, TaskForm
from tasks.forms.columns import Column, read_column
from tasks.forms.table.bad_columns import find_marker
from tasks.forms.table.columns import list_columns
from tasks.forms.table.features import ColumnFeatures, make_features
from tasks.forms.table.inputs import note_unseen, read_columns
from tasks.forms.table.samples import count_texts, describe_columns, describe_rows, open_reader
from tasks.forms.table.survey import survey_columns

AROUND = 48
"""Rows before and after one that is drawn."""


class TableForm(TaskForm[TableSpec, RowSample]):
    """Is the form of rows of a table."""

    def describe_sample(
        self, objective: str, data: TableSpec, model: ModelSpec, fitted: Fitted
    ) -> RowSample:
        """Describe one row."""
        return describe_rows(objective, data, model, fitted)

    def fit_sample(self, sample: RowSample, version: Version) -> RowSample:
        """Count how often each text occurs, of columns of which that is told."""
        return count_texts(sample, version)

    def describe_input(self, sample: RowSample, data: TableSpec) -> InputSpec:
        """Describe the columns that an artifact takes."""
        return describe_columns(sample, data)

    def read_inputs(
        self, inputs: NDArray[Any], spec: InputSpec, data: TableSpec
    ) -> tuple[Rows, Mapping[str, tuple[str, ...]]]:
        """Return the columns of rows, or of the rows of windows."""
        return read_columns(inputs, spec, data)

    def note_inputs(
        self, inputs: NDArray[Any], rows: Rows, card: Card, data: TableSpec
    ) -> tuple[tuple[int, str], ...]:
        """Note categories that were not learned from."""
        return note_unseen(inputs, rows, card.input, data)

    def open_reader(self, version: Version, sample: RowSample) -> RowReader:
        """Open what reads rows of columns."""
        return open_reader(version, sample)

    def name_asked(self, sample: RowSample) -> tuple[str, ...]:
        """Name the columns that are forecast."""
        return tuple(column.name for column in sample.numbers[: sample.forecast])

    def list_columns(self, data: TableSpec) -> tuple[Column, ...]:
        """List numbers, texts, label and target."""
        return list_columns(data)

    def describe_raw(
        self, version: Version, data: TableSpec, client: TaskClient | None = None
    ) -> ColumnsFacts:
        """Survey the columns."""
        return survey_columns(version, data, ordered=self.ordered, client=client)

    def find_marker(
        self, about: str, version: Version, data: TableSpec, limits: RawGate
    ) -> RowMarker | None:
        """Find what marks the bad rows of a failed check on columns, labels or times."""
        return find_marker(about, version, data, limits)

    def make_features(self, accepted: Version, data: TableSpec) -> ColumnFeatures:
        """Make standardised numbers and categories."""
        return make_features(accepted, data)

    def name_derived(self, figure: str, data: TableSpec) -> str:
        """Name a derived figure by its column, the target's by the recipe's name of it."""
        column, _, kind = figure.rpartition(".")
        if column == TARGET and data.target is not None and TARGET not in data.numbers:
            return f"{data.target}.{kind}"
        return figure

    def draw_row(self, about: str, rows: Rows, place: int, data: TableSpec) -> Drawing:
        """Draw the values of the column that a check is about, around the row."""
        for column in list_columns(data):
            drawn = column.role in ("number", "target") and column.field in rows
            if drawn and column.name == about:
                start = max(0, place - AROUND)
                around = read_column(rows, column)[start : place + AROUND].tolist()
                values = tuple(value if np.isfinite(value) else None for value in around)
                return Drawing(values=values, place=place - start)
        return Drawing()
