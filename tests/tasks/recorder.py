"""An augmentation of one's own that notes which rows were trained on, in which order, and can die
at a batch.

It changes the values as the built-in ones do, so that a resume must find them again, too.
"""

import json
import os
import time
from pathlib import Path

from torch import Tensor

from lightning_modules.data.augment import UINT64, AffineAugmentation, JitterAugmentation
from lightning_modules.specs.augmentation import AugmentationSpec

ATTEMPT = "attempt.json"
DYING = "dying"


class Died(Exception):
    """Stands for a kill inside this process: nothing of the training's memory survives it."""


class Recorder:
    """Notes each batch as a line, (epoch, row ids), in a file of this attempt and rank.

    Args:
        spec: Its `params` name the folder of the notes, and the deviation of each column; without
            one, samples are images.
        seed: Of the run.
    """

    def __init__(self, spec: AugmentationSpec, seed: int) -> None:
        std = spec.params["std"]
        self.change = JitterAugmentation(spec, seed, std) if std else AffineAugmentation(spec, seed)
        self.folder = Path(spec.params["folder"])
        attempt = json.loads((self.folder / ATTEMPT).read_text())
        self.death = attempt["death"]
        self.notes = self.folder / f"{attempt['number']:03}.{os.environ.get('RANK', '0')}.rows"
        self.notes.touch()

    def __call__(self, sample: Tensor, row_ids: UINT64, *, epoch: int) -> Tensor:
        rows = [int(row) for row in row_ids]
        if rows == list(range(len(rows))):
            return sample  # No rows of ours: own components are tried out before the training.
        if self.death is not None and epoch == self.death["epoch"] and self.death["row"] in rows:
            self._die()
        with self.notes.open("a") as notes:
            notes.write(json.dumps([epoch, rows]) + "\n")
        return self.change(sample, row_ids, epoch=epoch)

    def _die(self) -> None:
        if self.death["raises"]:
            raise Died
        # The test kills the launcher now; every process of the group must die of that.
        (self.folder / DYING).touch()
        time.sleep(600)
