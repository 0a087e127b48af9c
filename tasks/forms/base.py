"""Says what tasks know of a form of rows: samples, the facts that gates judge, and pictures.

A form of a plug-in says at least what a sample is (`describe_sample`, `describe_input`) and how it
is read (`open_reader`). All else has neutral answers: rows are judged by their labels alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.forms.looks import NOTERS
from deployments.targets.trust.card import Card, InputSpec
from gates.engine.tables import FieldRule
from gates.raw import check_names
from gates.raw.column_facts import ColumnsFacts
from gates.raw.image import ImageFacts
from gates.specs.raw import RawGate
from lightning_modules.data.readers import SampleReader
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from storage.base.errors import InvalidInput
from storage.base.parallel import TaskClient
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from storage.shards.row_ids import LABEL, Rows
from tasks.forms.columns import LABEL_COLUMN, Column, find_present
from tasks.forms.field_facts import describe_fields

Mask = NDArray[np.bool_]
D = TypeVar("D", bound=RowsSpec)
S = TypeVar("S", bound=Sample)


@dataclass(frozen=True)
class RowMarker:
    """Finds the rows that a failed check of the raw gate is about; it travels to workers.

    Attributes:
        fields: Stored fields that are read for it with their masks, as far as a shard has them;
            `row_id` comes too.
        mark: Says which rows (N,) are bad.
    """

    fields: tuple[str, ...]
    mark: Callable[[Rows], Mask]


class Features(Protocol):
    """Looks at rows for the probe of labels; it travels to workers."""

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """Return the features of rows, (N, F)."""
        ...

    def spread(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features that are judged one by one, (N, G), from 0 to 1."""
        ...

    def name(self, count: int) -> Sequence[str]:
        """Name the features that are judged one by one, of which there are so many."""
        ...


@dataclass(frozen=True)
class Drawing:
    """Shows a row on a gate's page.

    Attributes:
        pixels: A picture, (C, H, W); None where the row is none.
        value_range: Values that are drawn black and white.
        values: Values of a column around the row, None where one is missing.
        place: Place of the row among them.
    """

    pixels: NDArray[Any] | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    values: tuple[float | None, ...] = ()
    place: int = 0


class TaskForm(ABC, Generic[D, S]):
    """Answers for one form of rows.

    Attributes:
        ordered: Whether the rows of an entity follow each other in time.
        derived_prefix: Stands before the names of derived figures.
        looks: Fields by which rows look alike; none where near duplicates are not sought.
        fitted_field: Field whose channels are fitted, of those that are declared; empty for none.
    """

    ordered: bool = False
    derived_prefix: str = ""
    looks: tuple[str, ...] = ()
    fitted_field: str = ""

    @abstractmethod
    def describe_sample(self, objective: str, data: D, model: ModelSpec, fitted: Fitted) -> S:
        """Describe one sample, with what was fitted on the training rows.

        Raises:
            StageStopped: The training rows lack what the objective needs.
        """

    def fit_sample(self, sample: S, version: Version) -> S:
        """Return a sample with what is measured of the training rows beside what preparing did."""
        del version
        return sample

    @abstractmethod
    def describe_input(self, sample: S, data: D) -> InputSpec:
        """Describe the raw sample that an artifact takes, as a device's card tells it."""

    def read_inputs(
        self, inputs: NDArray[Any], spec: InputSpec, data: D
    ) -> tuple[Rows, Mapping[str, tuple[str, ...]]]:
        """Return what a model was asked for as the fields of rows, without label and target.

        Args:
            inputs: Raw samples as an artifact takes them, (N, *shape).
            spec: What the artifact takes.
            data: What the recipe says of the rows.

        Returns:
            The fields, and the names of the columns of two-dimensional ones.

        Raises:
            InvalidInput: The samples are not what the data section declares.
        """
        raise InvalidInput(
            f"form of rows ({type(self).__name__}) must say how samples become rows again; got "
            "nothing; write its read_inputs"
        )

    def note_inputs(
        self, inputs: NDArray[Any], rows: Rows, card: Card, data: D
    ) -> tuple[tuple[int, str], ...]:
        """Note what a person should know of rows that are asked for, as of files that are.

        Args:
            inputs: Their raw samples, (N, *shape).
            rows: The rows.
            card: The card of the model that is asked.
            data: What its recipe says of the rows.

        Returns:
            Numbers of rows, and words.
        """
        form = card.input.form
        return NOTERS.find(form)(inputs, card) if form in NOTERS else ()

    @abstractmethod
    def open_reader(self, version: Version, sample: S) -> SampleReader:
        """Open what reads rows of a version's streams into samples."""

    def name_asked(self, sample: S) -> tuple[str, ...]:
        """Name the values that are asked for, in order; none where one alone is."""
        return ()

    def list_columns(self, data: D) -> tuple[Column, ...]:
        """List the columns that gates know by name."""
        return (LABEL_COLUMN,) if data.labels else ()

    def declare_fields(self, data: D) -> Mapping[str, FieldRule]:
        """Say what the recipe declares of fields as a whole."""
        return {}

    def describe_raw(
        self, version: Version, data: D, client: TaskClient | None = None
    ) -> ImageFacts | ColumnsFacts:
        """Gather the facts that the raw gate judges; work on rows is done by `client`, or here."""
        return describe_fields(version, data, self.declare_fields(data))

    def find_marker(
        self, about: str, version: Version, data: D, limits: RawGate
    ) -> RowMarker | None:
        """Find what marks the bad rows of a failed check; None where no row can be told."""
        if about != check_names.LABEL or not data.labels:
            return None
        return RowMarker((LABEL,), partial(mark_labels, classes=len(data.labels)))

    def make_features(self, accepted: Version, data: D) -> Features | None:
        """Make what the label probe looks at, scaled to the accepted version; None for no probe."""
        return None

    def name_derived(self, figure: str, data: D) -> str:
        """Name a derived figure for people."""
        return f"{self.derived_prefix}{figure}"

    def hash_looks(self, rows: Rows) -> NDArray[np.uint64]:
        """Return keys (N, 2) that are equal where rows look alike, from the fields `looks`."""
        raise NotImplementedError(f"form of rows ({type(self).__name__}) has no looks")

    def read_pictures(self, rows: Rows) -> NDArray[Any] | None:
        """Return pictures of rows, (N, C, H, W), from the fields `looks`; None for no picture."""
        return None

    def draw_row(self, about: str, rows: Rows, place: int, data: D) -> Drawing:
        """Draw a row of a shard, as far as it shows what a check is about."""
        return Drawing()


def mark_labels(rows: Rows, classes: int) -> Mask:
    """Mark rows without a label, or with one that is not declared."""
    label = rows[LABEL]
    bad: Mask = ~find_present(rows, LABEL) | (label < 0) | (label >= classes)
    return bad
