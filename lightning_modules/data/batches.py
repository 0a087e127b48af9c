"""Hands batches from any stream of numpy rows to Lightning.

There are no DataLoader workers: a stream reads, decodes and shuffles in threads of its own.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.data.readers import ImageReader, RowFields, SampleReader
from lightning_modules.errors import SpecError

IMAGES = ImageReader()


class Stream(Protocol):
    """What training needs of a loader; `storage.stream.stream.Stream` is one.

    A batch maps field names to arrays that share axis 0: of images `image` (N, C, H, W) and `label`
    (N,) int64, of tables and series what `rows.RowReader` reads; and `row_id` (N,) uint64. In
    evaluation every rank yields the same number of batches, and `padding` (N,) bool marks the rows
    that only fill up.
    """

    def __iter__(self) -> Iterator[Any]:
        """Yields batches of the current epoch, from the current step on."""
        ...

    def __len__(self) -> int:
        """Returns the batches of a whole epoch."""
        ...

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns where the stream stands: {"epoch", "step"} and what else it needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to where `state_dict` was taken."""
        ...


@runtime_checkable
class WholeStream(Stream, Protocol):
    """A stream that can give the rows behind the last full batch, too."""

    def take_all(self) -> Stream:
        """Returns a stream of every row once; `padding` marks the rows that only fill up."""
        ...


class Batch(NamedTuple):
    """Rows on their way through the network.

    Attributes:
        sample: Raw values in their native dtype: (N, C, H, W), (N, D) or (N, L, D).
        truth: What is asked for: labels (N,) int64, or values (N,) or (N, H, T) float64, NaN where
            there is none.
        row_id: (N,) uint64, kept on the host: it names rows and seeds their augmentation.
        real: (N,) bool, False for rows that only fill up; None if every row counts.
    """

    sample: Tensor
    truth: Tensor
    row_id: NDArray[np.uint64]
    real: Tensor | None


def to_batch(rows: RowFields, reader: SampleReader) -> Batch:
    """Turns one batch of a stream into tensors; images share its memory.

    Raises:
        SpecError: A field is missing.
    """
    samples, padding = reader.read(rows), rows.get("padding")
    return Batch(
        sample=torch.from_numpy(_owned(samples.sample)),
        truth=torch.from_numpy(_owned(samples.truth)),
        row_id=samples.row_id,
        real=None if padding is None else torch.from_numpy(~np.asarray(padding, dtype=bool)),
    )


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    """Returns an array that torch can share: contiguous and writable."""
    return np.require(array, requirements=["C", "W"])


class BatchLoader:
    """Gives a stream to Lightning's loops, one epoch after another.

    It can be resumed between any two batches.

    Counts the batches that were handed over, so that its state is exact however far the stream has
    read ahead.
    """

    def __init__(
        self, stream: Stream, micro_batches: int = 1, reader: SampleReader = IMAGES
    ) -> None:
        self.stream = stream
        self.reader = reader
        self.micro_batches = micro_batches
        self.epoch = 0
        self.step = 0

    def __len__(self) -> int:
        """Returns the batches of an epoch that make whole optimizer steps.

        The few left over are another few next time.
        """
        return len(self.stream) // self.micro_batches * self.micro_batches

    def __iter__(self) -> Iterator[Batch]:
        if self.step:
            self.stream.load_state_dict(
                {**self.stream.state_dict(), "epoch": self.epoch, "step": self.step}
            )
        else:
            self.stream.set_epoch(self.epoch)
        batches = iter(self.stream)
        for rows in batches:
            self.step += 1
            if self.step == len(self):
                self.epoch, self.step = self.epoch + 1, 0
                # Lightning never asks behind the last batch, and a stream keeps what it has decoded
                # only at its end.
                deque(batches, maxlen=0)
            yield to_batch(rows, self.reader)

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch and the batches handed over in it."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues behind the last batch that was handed over when the state was taken."""
        self.epoch, self.step = int(state["epoch"]), int(state["step"])


class FixedLoader:
    """Gives validation rows, the same pass every time."""

    def __init__(self, stream: Stream, reader: SampleReader = IMAGES) -> None:
        self.stream = stream
        self.reader = reader

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[Batch]:
        self.stream.set_epoch(0)
        for rows in self.stream:
            yield to_batch(rows, self.reader)


class StreamDataModule(pl.LightningDataModule):
    """Holds training and validation rows.

    Args:
        train: Shuffled stream of this rank.
        validation: Unshuffled stream of this rank.
        micro_batches: Batches of the training stream that make one optimizer step.
        reader: From rows of the streams to samples.

    Raises:
        SpecError: A stream is empty.
    """

    def __init__(
        self,
        train: Stream,
        validation: Stream,
        micro_batches: int = 1,
        reader: SampleReader = IMAGES,
    ) -> None:
        super().__init__()
        self.train_loader = BatchLoader(train, micro_batches, reader)
        self.validation_loader = FixedLoader(validation, reader)
        for name, loader in (
            ("training", self.train_loader),
            ("validation", self.validation_loader),
        ):
            if len(loader) == 0:
                raise SpecError(
                    f"{name} split must hold at least one batch; got none; lower train.batch_size "
                    "or give that split more rows"
                )

    def iter_training(self) -> Iterator[Batch]:
        """Yields every training row once, as far as the stream can: batches of steps are full.

        Rows of less than a batch, which are others in each epoch, would be lost for good where
        there is one epoch.
        """
        stream, reader = self.train_loader.stream, self.train_loader.reader
        whole = stream.take_all() if isinstance(stream, WholeStream) else stream
        return iter(FixedLoader(whole, reader))

    def train_dataloader(self) -> BatchLoader:
        """Returns the shuffled rows."""
        return self.train_loader

    def val_dataloader(self) -> FixedLoader:
        """Returns the validation rows."""
        return self.validation_loader

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Moves the tensors; row ids stay on the host."""
        del dataloader_idx
        if device.type == "cpu":
            return batch
        return batch._replace(
            sample=batch.sample.to(device, non_blocking=True),
            truth=batch.truth.to(device, non_blocking=True),
            real=None if batch.real is None else batch.real.to(device, non_blocking=True),
        )
