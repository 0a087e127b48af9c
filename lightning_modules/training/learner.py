"""Head, network, answer and figures as one Lightning module, for every objective."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.data.augment import Augmentation, mix_bits
from lightning_modules.data.batches import Batch
from lightning_modules.objectives.base import Answer
from lightning_modules.specs.measure import find_direction, load_metric
from lightning_modules.specs.objectives import ObjectiveSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.optim import build_optimizer, build_scheduler
from lightning_modules.training.precision import LIGHTNING_NAMES
from lightning_modules.training.ranks import gather_ranks, sum_over_ranks


class Tally:
    """Sums one epoch's losses and figures, from which its means follow.

    Sums over ranks and resumes are exact.

    Not a buffer of the module: data-parallel training would overwrite it with rank 0's.

    Attributes:
        sums: (3,) float64: loss times rows, figure summed over rows, rows.
    """

    def __init__(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64)

    def add(self, loss: Tensor, figure: Tensor, rows: int) -> None:
        """Adds one batch: its mean loss, its figure summed over the rows, and its rows."""
        if self.sums.device != loss.device:
            self.sums = self.sums.to(loss.device)
        batch = torch.stack([loss.detach().double() * rows, figure.double()])
        self.sums[:2] += batch
        self.sums[2] += rows

    def read(self) -> tuple[float, float]:
        """Returns mean loss and figure so far; NaN without rows."""
        loss, figure, rows = self.sums.tolist()
        return (loss / rows, figure / rows) if rows else (float("nan"), float("nan"))


class Learner(pl.LightningModule):
    """One network with its head and its answer, trained on samples of which the truth is known.

    Args:
        head: Raw samples to features.
        network: Features to an output.
        answer: What the output means: loss, figure, and the answer in the user's units.
        sample: What a sample looks like.
        train: How to train; None for a network that only answers.
        total_steps: Optimizer steps of the whole training, for the schedule.
        augmentation: Of training samples; None leaves them as they are.
        frozen: Parts of the network that answer in training as they do afterwards.

    Attributes:
        selection: Validation figure by which the best epoch is chosen, or "last".
    """

    def __init__(
        self,
        head: nn.Module,
        network: nn.Module,
        answer: Answer,
        sample: Sample,
        *,
        train: TrainSpec | None = None,
        total_steps: int = 1,
        augmentation: Augmentation | None = None,
        frozen: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.head = head
        self.network = network
        self.answer = answer
        self.sample = sample
        self.spec = train or TrainSpec()
        self.total_steps = total_steps
        self.augmentation = augmentation
        self.selection = choose_selection(self.spec, answer.spec)
        self.metric = (
            None
            if self.selection in ("loss", "last", answer.spec.watched.name)
            else load_metric(self.selection, sample)
        )
        self.train_tally = Tally()
        self.validation_tally = Tally()
        self._collected: list[tuple[Tensor, Tensor]] = []
        self.frozen = tuple(frozen)
        self.train()

    def train(self, mode: bool = True) -> "Learner":
        """Sets training mode for all but what is frozen.

        Its normalisation would drift, and its dropout spoil what it knows.
        """
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    @property
    def lower_is_better(self) -> bool:
        """Whether the selecting figure is an error."""
        return find_direction(self.selection) == "lower"

    def respond(self, sample: Tensor) -> tuple[Tensor, Tensor]:
        """Returns output and features of raw samples."""
        features: Tensor = self.head(sample)
        return self.network(features), features

    def forward(self, sample: Tensor) -> Tensor:
        """Returns what the network gives for raw samples, such as logits (N, K) float32."""
        return self.respond(sample)[0]

    def answer_samples(self, sample: Tensor) -> tuple[Tensor, ...]:
        """Returns the answers to raw samples, as the exported network gives them."""
        output, features = self.respond(sample)
        answers: tuple[Tensor, ...] = self.answer(output.float(), features)
        return answers

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Makes dropout a function of (seed, batch, rank).

        So a resumed run draws what the first would have.
        """
        del batch
        key = np.array([self.spec.seed, self.current_epoch, batch_idx, self.global_rank], np.uint64)
        # Each number scrambled at its own place, so that no two batches share a seed.
        places = np.arange(1, 5, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
        drawn = int(np.bitwise_xor.reduce(mix_bits(mix_bits(key) + places))) & (2**63 - 1)
        # Not torch.manual_seed: for each absent device that keeps a stack trace a call, a
        # millisecond and memory a step.
        torch.default_generator.manual_seed(drawn)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(drawn)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the mean loss of one augmented batch."""
        del batch_idx
        sample = batch.sample
        if self.augmentation is not None:
            sample = self.augmentation(sample, batch.row_id, epoch=self.current_epoch)
        output, features = self.respond(sample)
        truth, members = batch.truth, len(output) // len(features)
        if members > 1:
            # A network of several members lets each of them answer in training.
            features, truth = (
                part.repeat(members, *[1] * (part.ndim - 1)) for part in (features, truth)
            )
        loss, figure, rows = self.answer.judge(output.float(), features, truth)
        self.train_tally.add(loss, figure, rows)
        return self.add_to_loss(loss, output.float(), sample)

    def add_to_loss(self, loss: Tensor, output: Tensor, sample: Tensor) -> Tensor:
        """Returns what a step minimises: here the loss alone."""
        del output, sample
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds the batch's real rows to the tally."""
        del batch_idx
        output, features = self.respond(batch.sample)
        output, truth = output.float(), batch.truth
        if batch.real is not None:
            output, features, truth = output[batch.real], features[batch.real], truth[batch.real]
        if len(truth):
            self.validation_tally.add(*self.answer.judge(output, features, truth))
        if self.metric is not None:
            self._collected.append((self.answer(output, features)[-1], truth))

    def start_validation(self) -> None:
        """Forgets the last epoch's figures."""
        self.validation_tally, self._collected = Tally(), []

    def finish_validation(self, trainer: pl.Trainer) -> dict[str, float]:
        """Returns the validation rows' figures over all ranks, by name."""
        self.validation_tally.sums = sum_over_ranks(trainer, self.validation_tally.sums)
        loss, figure = self.validation_tally.read()
        figures = {"validation_loss": loss, f"validation_{self.answer.spec.watched.name}": figure}
        if self.metric is not None:
            answers, truth = (torch.cat(part).cpu() for part in zip(*self._collected, strict=True))
            value = self.metric(gather_ranks(answers).numpy(), gather_ranks(truth).numpy())
            figures[f"validation_{self.selection}"] = float(value)
        return figures

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the precision, the threads and the epoch's figures.

        `ResumeSaver` has just gathered them on rank 0, which writes.
        """
        checkpoint["train_tally"] = self.train_tally.sums
        checkpoint["precision"] = (
            "fp32" if self.trainer.precision == LIGHTNING_NAMES["fp32"] else "bf16"
        )
        checkpoint["threads"] = torch.get_num_threads()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on from them, on rank 0 only, so that no rank adds them again."""
        sums = checkpoint["train_tally"]
        self.train_tally.sums = sums if self.global_rank == 0 else torch.zeros_like(sums)

    def configure_optimizers(self) -> Any:
        """Returns the optimizer and schedule that the spec names."""
        optimizer = build_optimizer(
            self.spec.optimizer, self, fused=self.trainer.precision == LIGHTNING_NAMES["fp32"]
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": build_scheduler(self.spec.scheduler, optimizer, self.total_steps),
        }


def choose_selection(spec: TrainSpec, objective: ObjectiveSpec) -> str:
    """Returns the validation figure that chooses the best epoch, or "last"."""
    chosen = spec.select_by or objective.select_by
    return objective.watched.name if chosen == objective.watched_as else chosen
