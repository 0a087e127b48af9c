"""Answers the rows of a batch shard by shard, on any worker, each shard once.

A shard of answers is named by its content, and what became of a shard of rows is written down
beside it once it is durable. So a task that runs again, or the next call after a kill, takes what
is there, and the same rows of the same model make the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import BadArtifact
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import Card, OutputSpec
from lightning_modules.specs.samples import Sample
from storage.base.errors import NotFound
from storage.base.redaction import redact
from storage.base.store import Store
from storage.datasets.manifest import Manifest
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.pipeline.selection import take_rows
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, VALID_SUFFIX, Rows, count_rows
from storage.shards.writing import write_shard
from storage.sources.joined import find_unfit
from storage.upkeep.quarantine import name_source
from tasks.batch.model import open_predictor
from tasks.feedback.rows import make_truths
from tasks.forms.registry import find_task_form
from tasks.runtime.outcome_base import Result

NOTE, PLACE = "note", "place"
TOLD = 5
MOST_FAILED = 100
"""Rows of a shard without a finite answer that are looked for one by one: of more the model is
wrong, and not the rows."""
Array = NDArray[Any]
Mask = NDArray[np.bool_]


class AnsweredShard(Result):
    """What became of one shard of rows.

    Attributes:
        entry: The shard of answers; None where no row has one.
        rows: Rows that were asked for.
        answered: Rows with an answer.
        noted: Answers with a note.
        told: The first reasons why rows have no answer, and the first notes.
    """

    entry: ShardEntry | None
    rows: int
    answered: int
    noted: int
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asker:
    """Asks a model for shards of rows; it travels to workers.

    Attributes:
        workspace: Holds the model's files.
        card: The card of the artifact that answers.
        sample: What a sample of the model is.
        data: What the model's recipe says of its rows.
        asked: The version that is asked for, without its shards.
        answers: Where shards of answers are kept.
        marks: Where it is written down what became of each shard.
    """

    workspace: Store
    card: Card
    sample: Sample
    data: RowsSpec
    asked: Version
    answers: Store
    marks: Store

    def recall(self, number: int) -> AnsweredShard | None:
        """Return what became of a shard in an earlier call; None where that is not known."""
        try:
            found = AnsweredShard.model_validate_json(self.marks.read(_name_mark(number)))
        except (NotFound, ValueError):
            return None
        if found.entry is not None and not _is_whole(self.answers, found.entry):
            return None
        return found

    def answer(self, number: int, entry: ShardEntry) -> AnsweredShard:
        """Answer the rows of a shard, and write down what became of it."""
        rows = self.asked.read_shard(entry)
        count = count_rows(rows)
        rows = {**make_truths(count, self.data), **rows}
        fit = ~find_unfit(rows, self.data)
        places = np.flatnonzero(fit)
        told = [] if len(places) == count else [self._tell_unfit(entry, places, count)]
        chosen = take_rows(rows, fit)
        done = AnsweredShard(entry=None, rows=count, answered=0, noted=0, told=tuple(told))
        if len(places):
            done = self._answer_fit(entry, chosen, places, done)
        self.marks.write(_name_mark(number), done.model_dump_json().encode())
        return done

    def _answer_fit(
        self, entry: ShardEntry, rows: Rows, places: NDArray[np.intp], begun: AnsweredShard
    ) -> AnsweredShard:
        form = find_task_form(self.data)
        one = replace(self.asked, manifest=Manifest("", (entry,), {}))
        samples = form.open_reader(one, self.sample).read(rows).sample
        predictor = _open_once(self.workspace, self.card.to_bytes())
        answered, arrays = answer_finite(predictor, samples)
        kept = take_rows(rows, answered)
        told = list(begun.told)
        if not answered.all():
            first = name_source(entry, int(places[~answered][0]))
            told.append(f"{first}: the model has no finite answer to it")
        if not answered.any():
            return begun.model_copy(update={"told": tuple(told)})
        notes = form.note_inputs(samples[answered], kept, self.card, self.data)
        told += [f"{name_source(entry, int(places[answered][row]))}: {text}" for row, text in notes]
        shard = self._write(entry, kept, places[answered], arrays, notes)
        return AnsweredShard(
            entry=shard,
            rows=begun.rows,
            answered=int(answered.sum()),
            noted=len({row for row, _ in notes}),
            told=tuple(told[:TOLD]),
        )

    def _write(
        self,
        entry: ShardEntry,
        rows: Rows,
        places: NDArray[np.intp],
        arrays: dict[str, Array],
        notes: tuple[tuple[int, str], ...],
    ) -> ShardEntry:
        texts: dict[int, list[str]] = {}
        for row, text in notes:
            texts.setdefault(row, []).append(text)
        said = ["; ".join(texts.get(row, ())) for row in range(len(places))]
        answers: Rows = {
            ROW_ID: rows[ROW_ID],
            CONTENT_HASH: rows[CONTENT_HASH],
            **_number_records(entry, places),
            **arrays,
            NOTE: np.array(said, dtype=np.dtypes.StringDType()),
            NOTE + VALID_SUFFIX: np.isin(np.arange(len(places)), list(texts)),
        }
        columns = {spec.name: names for spec in self.card.outputs if (names := name_columns(spec))}
        return write_shard(
            self.answers, answers, split=entry.split, source=entry.source, columns=columns
        )

    def _tell_unfit(self, entry: ShardEntry, places: NDArray[np.intp], count: int) -> str:
        first = int(np.setdiff1d(np.arange(count), places)[0])
        return redact(f"{name_source(entry, first)}: it breaks what the data section declares")


def answer_shard(task: tuple[int, ShardEntry], asker: Asker) -> AnsweredShard:
    """Answer a shard of rows, unless an earlier call has.

    Args:
        task: Number of the shard in its version, and the shard.
        asker: Asks the model.

    Raises:
        BadArtifact: The model is not the one that its card describes, or fails.
        StorageError: Rows cannot be read, or answers not written.
    """
    number, entry = task
    return asker.recall(number) or asker.answer(number, entry)


def answer_finite(predictor: Predictor, samples: Array) -> tuple[Mask, dict[str, Array]]:
    """Answer samples (N, ...), without those that the model has no finite answer to.

    Returns:
        Which samples have an answer, (N,), and the outputs of these, by name.

    Raises:
        BadArtifact: More than a few have none, or the model fails otherwise.
    """
    kept = np.ones(len(samples), np.bool_)
    parts: list[dict[str, Array]] = []
    for part, arrays in _answer_parts(predictor, samples, 0):
        if arrays is None:
            kept[part] = False
            if (~kept).sum() > MOST_FAILED:
                predictor.predict(samples[part : part + 1])
        else:
            parts.append(arrays)
    if not parts:
        return kept, {}
    return kept, {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}


def _answer_parts(
    predictor: Predictor, samples: Array, start: int
) -> Iterator[tuple[int, dict[str, Array] | None]]:
    """Yield the answers to parts of the samples in order, None for a sample without one."""
    try:
        yield start, predictor.predict(samples).arrays
    except BadArtifact:
        if len(samples) == 1:
            yield start, None
            return
        middle = len(samples) // 2
        yield from _answer_parts(predictor, samples[:middle], start)
        yield from _answer_parts(predictor, samples[middle:], start + middle)


def _number_records(entry: ShardEntry, places: NDArray[np.intp]) -> Rows:
    """Return the number of each row's record in its file, missing where that is not known.

    It is not where some of the shard's records could not be read: nobody knows which.
    """
    span = entry.source[0] if len(entry.source) == 1 else None
    known = span is not None and span.stop - span.start == entry.rows
    first = span.start if span is not None and known else 0
    return {
        PLACE: places.astype(np.int64) + first,
        PLACE + VALID_SUFFIX: np.full(len(places), known),
    }


def name_columns(spec: OutputSpec) -> tuple[str, ...]:
    """Name the columns of an output of one value a label; none of any other."""
    return spec.labels if spec.shape == (len(spec.labels),) else ()


@lru_cache(maxsize=2)
def _open_once(workspace: Store, card: bytes) -> Predictor:
    """Load a model once a process."""
    return open_predictor(workspace, Card.parse(card))


def _name_mark(number: int) -> str:
    return f"{number:08d}.json"


def _is_whole(shards: Store, entry: ShardEntry) -> bool:
    """Tell whether a shard's files are there; each read checks what they hold."""
    return all(shards.exists(f"{entry.digest}/{path}") for path in entry.files)
