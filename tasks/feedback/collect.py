"""Collects what came back into the recipe's feedback dataset, each answer once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import TargetError
from deployments.targets.trust.keys import KeyRing
from deployments.targets.trust.uplink import parse_name, read_batch
from storage.base.errors import StorageError
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.registry import find_form
from storage.pipeline.publishing import publish_version
from storage.records.receipts import DatasetRecord
from storage.shards.entry import ShardEntry, Span
from storage.shards.row_ids import ROW_ID, Rows, count_rows, hash_member_ids
from storage.shards.writing import write_shard
from tasks.data.collect import describe_version
from tasks.feedback.evidence import Finding, name_each
from tasks.feedback.ledger import KEY, Ledger, Truth, read_ledger, write_ledger
from tasks.feedback.models import ModelBook
from tasks.feedback.rows import Columns, TruthField, find_truth_field, make_rows, place_truths
from tasks.feedback.series_rows import cut_rows, make_series_rows, merge_rows
from tasks.feedback.uplinks import Examined, examine_uplinks
from tasks.runtime.errors import TaskError
from tasks.runtime.outcome_base import Result
from tasks.runtime.stage import stage

SUFFIX = "feedback"
Told = Mapping[str, Truth]


class Gathered(Result):
    """What came back so far.

    Attributes:
        dataset: The feedback version; None before the first row.
        collected: Rows that this call has added.
        misfits: Answers of batches that do not fit the recipe's data section and were not taken.
        findings: What was refused, replaced or is still unknown.
    """

    dataset: DatasetRecord | None
    collected: int
    misfits: int
    findings: tuple[Finding, ...]

    @property
    def facts(self) -> tuple[str, ...]:
        """What came, and the version."""
        where = self.dataset.ref if self.dataset is not None else "no version yet"
        return (f"{self.collected:,} new rows", where)


@stage
def collect_feedback(workspace: str, name: str, objective: str, data: RowsSpec) -> Gathered:
    """Verify every file below `uplinks` that is new, and add its answers and truths.

    Whatever moment it is killed at, the next call finds the same files and makes the same shards:
    nothing of it is seen before the version is committed, and then all is.

    Args:
        workspace: Folder or URL of the workspace.
        name: Name of the recipe; the dataset is called `<name>-feedback`.
        objective: What is asked of the rows.
        data: What the recipe says of its rows.
    """
    return Collector(Store(workspace), name, data, find_truth_field(objective, data)).collect()


@dataclass
class Collector:
    """Adds what is new to one feedback dataset.

    Attributes:
        store: The workspace.
        name: Name of the recipe.
        data: What the recipe says of its rows.
        truth: Where the truth stands in a row.
        misfits: Answers that were not taken, since they do not fit.
        notes: What is worth telling of single answers, by what it is.
        taken: Batches that were taken.
        known: Ids of the answers that have a row.
    """

    store: Store
    name: str
    data: RowsSpec
    truth: TruthField
    misfits: int = 0
    notes: dict[str, list[str]] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Opens the dataset, and whom this machine trusts."""
        self.dataset = Dataset(self.store, f"{self.name}-{SUFFIX}")
        self.ring, self.models = KeyRing(), ModelBook(self.store)

    def collect(self) -> Gathered:
        """Collect once."""
        before = self.dataset.latest()
        ledger = read_ledger(self.store, self.name, before)
        found = examine_uplinks(self.store, self.name, ledger, self.models, self.ring)
        told = ledger.extend(found.files, found.others, found.truths)
        if find_form(self.data).ordered:
            entries = self._extend_series(before, found.batches)
        else:
            entries = self._extend(before, found.batches, ledger, told)
        told = told.extend(self.taken, (), ())
        version = before
        if entries and told != ledger:
            info = {KEY: write_ledger(self.store, self.name, told)}
            version = publish_version(self.dataset, entries, kind="feedback", info=info)
        rows = version.rows if version is not None else 0
        return Gathered(
            dataset=describe_version(version) if version is not None else None,
            collected=rows - (before.rows if before is not None else 0),
            misfits=self.misfits,
            findings=tuple(self._list_findings(found, ledger, told)),
        )

    def _take_batches(self, files: Sequence[str]) -> Iterator[tuple[str, Rows, Columns]]:
        """Yield batches that fit the recipe's data section, as rows; the others are told."""
        make = make_series_rows if find_form(self.data).ordered else make_rows
        for file in files:
            batch = read_batch(self.store, file, self.ring)
            try:
                rows, columns = make(batch, self.models.require(batch.model_id or ""), self.data)
            except (StorageError, TargetError, TaskError) as error:
                self.misfits += len(batch.inputs)
                self._note("batch that does not fit", f"{file}: {error}")
                continue
            self.taken.append(file)
            yield file, rows, columns

    def _extend(
        self, before: Version | None, files: Sequence[str], old: Ledger, new: Ledger
    ) -> list[ShardEntry]:
        """Return all shards: those of old batches, with truths that came, and those of new ones."""
        current = new.current
        entries = self._revise(before, current, _find_changed(old, new))
        for file, rows, columns in self._take_batches(files):
            ids = rows[ROW_ID].tolist()
            fresh = np.array([row_id not in self.known for row_id in ids], np.bool_)
            if repeated := int((~fresh).sum()):
                self._note("answers that came twice", f"{file}: {repeated} answers are known")
            self.known.update(ids)
            added = {name: values[fresh] for name, values in rows.items()}
            if count_rows(added):
                stated = parse_name(file)
                span = Span(
                    name=file,
                    start=stated.first if stated else 0,
                    stop=stated.last + 1 if stated else 0,
                )
                entries.append(self._write(added, columns, current, (span,)))
        return entries

    def _revise(
        self, before: Version | None, told: Told, changed: NDArray[np.uint64]
    ) -> list[ShardEntry]:
        """Return the shards of old batches; what holds an answer of another truth is rewritten."""
        if before is None:
            return []
        entries = []
        for entry in before.shards:
            ids = before.read_shard(entry, (ROW_ID,))[ROW_ID]
            self.known.update(ids.tolist())
            again = self.truth.name is not None and bool(np.isin(ids, changed).any())
            entries.append(self._label_again(before, entry, told) if again else entry)
        return entries

    def _extend_series(self, before: Version | None, files: Sequence[str]) -> list[ShardEntry]:
        """Return all shards: the moments that are known, and those of new windows, in order."""
        taken = list(self._take_batches(files))
        if not taken:
            return list(before.shards) if before is not None else []
        known = [before.read()] if before is not None else []
        merged, others = merge_rows([*known, *(rows for _, rows, _ in taken)])
        if others:
            self._note("moments told again", f"{others} rows differ from those that came first")
        columns = taken[-1][-1]
        return [
            write_shard(self.dataset.shards, rows, columns=columns) for rows in cut_rows(merged)
        ]

    def _label_again(self, before: Version, entry: ShardEntry, told: Told) -> ShardEntry:
        columns = {field.name: field.columns for field in entry.fields if field.columns}
        return self._write(before.read_shard(entry), columns, told, entry.source)

    def _write(
        self, rows: Rows, columns: Columns, told: Told, source: Sequence[Span]
    ) -> ShardEntry:
        labelled, wrong = place_truths(rows, told, self.truth)
        for text in wrong:
            self._note("truth that cannot be one", text)
        return write_shard(self.dataset.shards, labelled, columns=columns, source=source)

    def _note(self, name: str, text: str) -> None:
        self.notes.setdefault(name, []).append(text)

    def _list_findings(self, found: Examined, old: Ledger, new: Ledger) -> Iterator[Finding]:
        refused = (f"{file}: {reason}" for file, reason in found.refused.items())
        yield from name_each("refused", refused)
        yield from name_each("truth of another's answer", found.foreign)
        for name, texts in self.notes.items():
            yield from name_each(name, texts)
        yield from _count_truths(old, new, self.known)


def _find_changed(old: Ledger, new: Ledger) -> NDArray[np.uint64]:
    """Return the row ids of the answers whose truth is another one now."""
    before = old.current
    changed = [
        answer_id
        for answer_id, truth in new.current.items()
        if answer_id not in before or before[answer_id].truth != truth.truth
    ]
    return hash_member_ids(changed)


def _count_truths(old: Ledger, new: Ledger, known: set[int]) -> Iterator[Finding]:
    """Yield how many truths were replaced by this call, and how many wait for their answers."""
    counts: Mapping[str, int] = {
        "truths replaced": new.count_replaced() - old.count_replaced(),
        "truths of unknown answers": sum(
            row_id not in known for row_id in hash_member_ids(new.current).tolist()
        ),
    }
    details = {
        "truths replaced": "the last one counts, and the ledger keeps all of them",
        "truths of unknown answers": "they are kept until their answers come",
    }
    for name, count in counts.items():
        if count:
            yield Finding(name=name, outcome="noted", detail=f"{count}; {details[name]}")
