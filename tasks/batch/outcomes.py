"""What the stages of a batch hand on."""

from typing import Literal

from deployments.targets.trust.card import Card
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.scratch import SCRATCH
from storage.records.receipts import DatasetRecord, FileRecord
from tasks.runtime.outcome_base import Result

SUFFIX = "-predictions"
SHARDS = "shards"
Format = Literal["parquet", "csv", "shards"]


class Asked(Result):
    """What is asked of which model, and where the answers go.

    Attributes:
        workspace: Folder or URL of the workspace.
        out: Folder or URL that the answers go to.
        format: "parquet", "csv" or "shards".
        card: The card of the artifact that answers.
        channel: The channel that it was taken from; None where the model was named.
        release: The channel's release.
        dataset: The rows.
        unread: Records of the source that could not be read.
        key: Names the batch.
    """

    workspace: str
    out: str
    format: Format
    card: Card
    channel: str | None
    release: int | None
    dataset: DatasetRecord
    unread: int
    key: str

    @property
    def facts(self) -> tuple[str, ...]:
        """How many rows, and which model."""
        return (f"{self.rows:,} rows, {self.dataset.ref}", f"model {self.card.model_id[:12]}")

    @property
    def rows(self) -> int:
        """Rows that are asked for, without those that could not be read."""
        return sum(self.dataset.rows.values())

    @property
    def has_files(self) -> bool:
        """Whether the answers go to files."""
        return self.format != SHARDS

    @property
    def answers(self) -> Dataset:
        """The data set that shards of answers belong to."""
        home = self.workspace if self.has_files else self.out
        return Dataset(Store(home), f"{self.card.name}{SUFFIX}")

    @property
    def tag(self) -> str:
        """The tag by which a version of answers that was asked for is kept from clean-ups."""
        return f"batch-{self.key[:16]}"

    @property
    def marks(self) -> Store:
        """Where it is written down what became of each shard: of this batch, and no other's.

        One that ends beside another drops its own.
        """
        return self.answers.files.child(SCRATCH, self.key[:48])


class Answered(Result):
    """What became of all rows.

    Attributes:
        shards: Shards of rows.
        rows: Rows that were asked for, those that could not be read among them.
        answered: Rows with an answer.
        noted: Answers with a note.
        told: The first reasons why rows have no answer, and the first notes.
    """

    shards: int
    rows: int
    answered: int
    noted: int
    told: tuple[str, ...]

    @property
    def facts(self) -> tuple[str, ...]:
        """How many answers there are, and how many have a note."""
        return (f"{self.answered:,} of {self.rows:,} answered", f"{self.noted:,} with a note")


class Published(Result):
    """The answers as they were written.

    Attributes:
        version: The version of the data set of answers.
        files: The files of answers by name; none of shards.
    """

    version: DatasetRecord
    files: dict[str, FileRecord]

    @property
    def facts(self) -> tuple[str, ...]:
        """The version, and how many files there are."""
        return (self.version.ref, *([f"{len(self.files):,} files"] if self.files else ()))
