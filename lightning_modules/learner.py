"""Classification of images: head, network, loss and figures as one Lightning module."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.augment import Augmentation, mix_bits
from lightning_modules.data import Batch
from lightning_modules.optim import build_loss, build_optimizer, build_scheduler
from lightning_modules.specs import TrainSpec


class Tally:
    """Sums of one epoch, from which its mean loss and accuracy follow; sums over ranks and resumes are exact.

    Not a buffer of the module: data-parallel training would overwrite it with rank 0's.

    Attributes:
        sums: (3,) float64: loss times rows, rows answered right, rows.
    """

    def __init__(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64)

    def add(self, loss: Tensor, right: Tensor, rows: int) -> None:
        """Adds one batch: its mean loss, how many rows were right, how many there were."""
        if self.sums.device != loss.device:
            self.sums = self.sums.to(loss.device)
        batch = torch.stack([loss.detach().double() * rows, right.double()])
        self.sums[:2] += batch
        self.sums[2] += rows

    def read(self) -> tuple[float, float]:
        """Mean loss and accuracy so far; NaN without rows."""
        loss, right, rows = self.sums.tolist()
        return (loss / rows, right / rows) if rows else (float("nan"), float("nan"))


class Learner(pl.LightningModule):
    """One network with its head, trained on labelled images.

    Args:
        head: Raw images to normalised ones.
        network: Normalised images (N, C, H, W) to logits (N, K).
        train: How to train; None for a network that only answers.
        total_steps: Optimizer steps of the whole training, for the schedule.
        augmentation: Of training images; None leaves them as they are.
    """

    def __init__(
        self,
        head: nn.Module,
        network: nn.Module,
        *,
        train: TrainSpec | None = None,
        total_steps: int = 1,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.head = head
        self.network = network
        self.spec = train or TrainSpec()
        self.total_steps = total_steps
        self.augmentation = augmentation
        self.loss = build_loss(self.spec.loss)
        self.train_tally = Tally()
        self.validation_tally = Tally()

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, K) float32 of raw images (N, C, H, W)."""
        logits: Tensor = self.network(self.head(image))
        return logits

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Makes dropout a function of (seed, batch, rank), so that a resumed run draws what the first would have."""
        del batch
        key = np.array([self.spec.seed, self.current_epoch, batch_idx, self.global_rank], np.uint64)
        # Each number scrambled at its own place, so that no two batches share a seed.
        places = np.arange(1, 5, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
        torch.manual_seed(int(np.bitwise_xor.reduce(mix_bits(mix_bits(key) + places))) & (2**63 - 1))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of one augmented batch."""
        del batch_idx
        image = batch.image
        if self.augmentation is not None:
            image = self.augmentation(image, batch.row_id, epoch=self.current_epoch)
        logits = self(image)
        loss = self.loss(logits.float(), batch.label)
        with torch.no_grad():
            self.train_tally.add(loss, (logits.argmax(1) == batch.label).sum(), len(batch.label))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds the batch's real rows to the tally."""
        del batch_idx
        logits = self(batch.image).float()
        label = batch.label
        if batch.real is not None:
            logits, label = logits[batch.real], label[batch.real]
        if len(label):
            self.validation_tally.add(self.loss(logits, label), (logits.argmax(1) == label).sum(), len(label))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the running epoch's figures; `ResumeSaver` has just gathered them on rank 0, which writes."""
        checkpoint["train_tally"] = self.train_tally.sums

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on from them, on rank 0 only, so that no rank adds them again."""
        sums = checkpoint["train_tally"]
        self.train_tally.sums = sums if self.global_rank == 0 else torch.zeros_like(sums)

    def configure_optimizers(self) -> Any:
        """The optimizer and schedule that the spec names."""
        optimizer = build_optimizer(self.spec.optimizer, self, fused=self.trainer.precision == "32-true")
        return {
            "optimizer": optimizer,
            "lr_scheduler": build_scheduler(self.spec.scheduler, optimizer, self.total_steps),
        }
