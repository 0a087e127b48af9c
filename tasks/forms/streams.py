"""Rows of a version as the samples of a network: which fields, which windows, which splits they look back into."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import (
    NUMBERS,
    CodeBook,
    ImageReader,
    RowReader,
    Rows,
    SampleReader,
    Samples,
    encode_texts,
    read_real,
)
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import TrainSpec
from storage.datasets.version import Version
from storage.forms.columns import name_field
from storage.shards.row_ids import VALID_SUFFIX
from storage.stream.stream import Stream
from storage.stream.windows import Window

TRAIN, VALIDATION, HELD_OUT = "train", "validation", "held_out"
# What was known at the time: windows that validate or are held out may look back into the rows
# before their split.
CONTEXT = {TRAIN: (), VALIDATION: (TRAIN,), HELD_OUT: (TRAIN, VALIDATION)}
READING_BATCH = 512


class SampleRows:
    """A version's rows as samples.

    Args:
        version: A prepared version.
        sample: What a sample is.
        rank: This rank.
        world_size: Number of ranks.
    """

    def __init__(
        self, version: Version, sample: AnySample, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self.version = version
        self.sample = sample
        self.rank = rank
        self.world_size = world_size

    @cached_property
    def reader(self) -> SampleReader:
        """From rows of a stream to samples."""
        return (
            self._make_reader(self.sample) if isinstance(self.sample, RowSample) else ImageReader()
        )

    def open_training(self, spec: TrainSpec) -> Stream:
        """This rank's share of the shuffled training rows."""
        return Stream(
            self.version,
            TRAIN,
            batch_size=spec.batch_size // spec.accumulate,
            seed=spec.seed,
            rank=self.rank,
            world_size=self.world_size,
            fields=self.reader.fields,
            window=self._make_window(training=True),
        )

    def open_evaluation(self, split: str, batch_size: int) -> "Stream | SlicedStream":
        """This rank's share of a split, every row once, each rank the same number of batches."""
        ranks = self.world_size
        batch_size = -(-batch_size // ranks) * ranks
        # A split of fewer shards than ranks is small: then every rank reads all of it, and answers
        # its share.
        shared = len(list(self.version.iter_shards(split))) >= ranks
        window = self._make_window(training=False)
        stream = Stream(
            self.version,
            split,
            batch_size=batch_size,
            rank=self.rank if shared else 0,
            world_size=ranks if shared else 1,
            shuffle=False,
            drop_last=False,
            fields=self.reader.fields,
            window=window,
            context=CONTEXT.get(split, ()) if window is not None else (),
        )
        return stream if shared else SlicedStream(stream, self.rank, ranks)

    def read(self, split: str) -> Iterator[Samples]:
        """Every row of a split once, in stored order, batch by batch."""
        return read_real(self.reader, self.open_evaluation(split, READING_BATCH))

    def draw(self, rows: int, seed: int) -> NDArray[Any]:
        """Training samples in a shuffled order, raw values (N, ...), as many as asked for and there are."""
        window = self._make_window(training=False)
        wanted = min(rows, self.version.splits[TRAIN])
        stream = Stream(
            self.version,
            TRAIN,
            batch_size=1 if window is not None else wanted,
            seed=seed,
            shuffle=True,
            fields=self.reader.fields,
            window=window,
        )
        drawn: list[NDArray[Any]] = []
        for batch in stream:
            drawn.append(self.reader.read(batch).sample)
            if sum(map(len, drawn)) >= wanted:
                break
        return np.concatenate(drawn)

    def _make_window(self, *, training: bool) -> Window | None:
        window = self.sample.window if isinstance(self.sample, RowSample) else None
        if window is None:
            return None
        return Window(
            lookback=window.lookback,
            horizon=window.horizon,
            stride=window.stride if training else 1,
            max_gap_steps=window.max_gap_steps,
        )

    def _make_reader(self, sample: RowSample) -> RowReader:
        stored = {field.name: field.columns or () for field in self.version.fields}
        return RowReader(sample, tuple(stored.get(NUMBERS, ())), self._read_codes(sample))

    def _read_codes(self, sample: RowSample) -> CodeBook | None:
        """Places of all rows' texts in their vocabularies: 8 bytes a row and column in memory."""
        if not sample.categories:
            return None
        names = [(name_field(column.name), column.vocabulary) for column in sample.categories]
        known = {field.name for field in self.version.fields}
        wanted = [
            field for name, _ in names for field in (name, name + VALID_SUFFIX) if field in known
        ]
        ids, codes = [], []
        for entry in self.version.iter_shards():
            rows = self.version.read_shard(entry, ("row_id", *wanted))
            ids.append(rows["row_id"])
            encoded = [
                encode_texts(rows[name], rows.get(name + VALID_SUFFIX), texts)
                for name, texts in names
            ]
            codes.append(np.stack(encoded, axis=1))
        row_id = np.concatenate(ids)
        order = np.argsort(row_id)
        return CodeBook(row_id[order], np.concatenate(codes)[order])


class SlicedStream:
    """One rank's part of every batch of a stream that all ranks read."""

    def __init__(self, stream: Stream, rank: int, ranks: int) -> None:
        self.stream = stream
        self.part = slice(rank, None, ranks)

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[Rows]:
        for rows in self.stream:
            yield {name: values[self.part] for name, values in rows.items()}

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self.stream.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """That of the stream."""
        return dict(self.stream.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to where `state_dict` was taken."""
        self.stream.load_state_dict(state)
