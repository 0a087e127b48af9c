"""Reads rows of a version as samples: which fields, windows and splits to look back into."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from lightning_modules.data.readers import SampleBatch, SampleReader, read_real
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from storage.datasets.version import Version
from storage.shards.row_ids import Rows
from storage.stream.stream import Stream
from storage.stream.windows import WINDOW_ROWS, Window
from tasks.forms.registry import FORMS

TRAIN, VALIDATION, HELD_OUT = "train", "validation", "held_out"
# What was known at the time: windows that validate or are held out may look back into the rows
# before their split.
CONTEXT = {TRAIN: (), VALIDATION: (TRAIN,), HELD_OUT: (TRAIN, VALIDATION)}
READING_BATCH = 512


class SampleRows:
    """Gives a version's rows as samples.

    Args:
        version: A prepared version.
        sample: What a sample is.
        rank: This rank.
        world_size: Number of ranks.
    """

    def __init__(
        self, version: Version, sample: Sample, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self.version = version
        self.sample = sample
        self.rank = rank
        self.world_size = world_size

    @cached_property
    def reader(self) -> SampleReader:
        """The reader of rows of a stream into samples."""
        return FORMS.find(self.sample.form).open_reader(self.version, self.sample)

    def open_training(self, spec: TrainSpec) -> Stream:
        """Open this rank's share of the shuffled training rows."""
        return Stream(
            self.version,
            TRAIN,
            batch_size=spec.batch_size // spec.accumulate,
            seed=spec.seed,
            rank=self.rank,
            world_size=self.world_size,
            fields=self._fields,
            window=self._make_window(TRAIN, training=True),
        )

    def open_evaluation(self, split: str, batch_size: int) -> "Stream | SlicedStream":
        """Open this rank's share of a split: every row once, as many batches as other ranks."""
        ranks = self.world_size
        batch_size = -(-batch_size // ranks) * ranks
        # A split of fewer shards than ranks is small: then every rank reads all of it, and answers
        # its share.
        shared = len(list(self.version.iter_shards(split))) >= ranks
        window = self._make_window(split)
        stream = Stream(
            self.version,
            split,
            batch_size=batch_size,
            rank=self.rank if shared else 0,
            world_size=ranks if shared else 1,
            shuffle=False,
            drop_last=False,
            fields=self._fields,
            window=window,
            context=CONTEXT.get(split, ()) if window is not None else (),
        )
        return stream if shared else SlicedStream(stream, self.rank, ranks)

    def read(self, split: str) -> Iterator[SampleBatch]:
        """Read every row of a split once, in stored order, batch by batch."""
        return read_real(self.reader, self.open_evaluation(split, READING_BATCH))

    def draw(self, rows: int, seed: int) -> SampleBatch:
        """Draw shuffled training samples with their truth, as many as asked for and there are."""
        window = self._make_window(TRAIN)
        wanted = min(rows, self.version.splits[TRAIN])
        stream = Stream(
            self.version,
            TRAIN,
            batch_size=1 if window is not None else wanted,
            seed=seed,
            shuffle=True,
            fields=self._fields,
            window=window,
        )
        drawn: list[SampleBatch] = []
        for batch in stream:
            drawn.append(self.reader.read(batch))
            if sum(len(part.row_id) for part in drawn) >= wanted:
                break
        return SampleBatch(*(np.concatenate(part) for part in zip(*drawn, strict=True)))

    @property
    def _fields(self) -> tuple[str, ...]:
        """Names of the stored fields that are read."""
        return tuple(name for name in self.reader.fields if name != WINDOW_ROWS)

    def _make_window(self, split: str, *, training: bool = False) -> Window | None:
        window = self.sample.window
        if window is None:
            return None
        judged = split == HELD_OUT
        return Window(
            lookback=window.lookback,
            horizon=window.horizon,
            lead=window.lead,
            stride=window.stride if training else window.held_out_stride if judged else 1,
            max_gap_steps=window.max_gap_steps,
            last_only=judged and window.held_out == "last",
            names_rows=WINDOW_ROWS in self.reader.fields,
        )


class SlicedStream:
    """Gives one rank's part of every batch of a stream that all ranks read."""

    def __init__(self, stream: Stream, rank: int, ranks: int) -> None:
        self.stream = stream
        self.part = slice(rank, None, ranks)

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[Rows]:
        for rows in self.stream:
            yield {name: values[self.part] for name, values in rows.items()}

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch."""
        self.stream.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the stream."""
        return dict(self.stream.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was taken."""
        self.stream.load_state_dict(state)
