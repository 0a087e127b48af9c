"""A stream over rows in memory, with the manners of the real one: a fixed order a seed and epoch,
resumable.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np


class MemoryStream:
    def __init__(
        self,
        rows: dict[str, np.ndarray],
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rows = rows
        self.count = len(rows["row_id"])
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = self.step = 0

    def __len__(self) -> int:
        return self.count // self.batch_size if self.shuffle else -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        order = np.arange(self.count)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        share = self.batch_size // self.world_size
        while self.step < len(self):
            start = self.step * self.batch_size + self.rank * share
            self.step += 1
            stop = min(start + share, self.step * self.batch_size)
            if self.shuffle:
                yield {name: values[order[start:stop]] for name, values in self.rows.items()}
            else:
                places = np.minimum(np.arange(start, start + share), self.count - 1)
                batch = {name: values[places] for name, values in self.rows.items()}
                yield {**batch, "padding": np.arange(start, start + share) >= self.count}

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.step = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.step = state["epoch"], state["step"]


def digits_rows() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    image = digits.images.astype(np.uint8)[:, None]
    return {
        "image": image,
        "label": digits.target.astype(np.int64),
        "row_id": np.arange(len(image), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
    }


def take(rows: dict[str, np.ndarray], places: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[places] for name, values in rows.items()}


def split_digits(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    rows = digits_rows()
    order = np.random.default_rng(seed).permutation(len(rows["label"]))
    held, validation = 539, 126
    return {
        "held_out": take(rows, order[:held]),
        "validation": take(rows, order[held : held + validation]),
        "train": take(rows, order[held + validation :]),
    }
