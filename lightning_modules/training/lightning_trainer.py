"""Lightning's trainer for one process of a training, without what is done here otherwise."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from lightning_modules.errors import SpecError
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.checkpoint import ResumeStates
from lightning_modules.training.precision import LIGHTNING_NAMES, Precision


def build_trainer(
    spec: TrainSpec, precision: Precision, *, callbacks: list[Any], keeper: ResumeStates | None
) -> pl.Trainer:
    """Builds Lightning's trainer for this process.

    It has none of Lightning's own bars, summaries, loggers and checkpoints.

    `RANK`, `WORLD_SIZE` and `LOCAL_RANK` say which part of a group this process is; without them it
    trains alone.
    """
    world_size, here = (
        int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")
    )
    if world_size % here:
        raise SpecError(
            f"ranks ({world_size}) must be the same number on every node; got {here} on this one; "
            "set train.devices to a number that each node has"
        )
    on_gpu = torch.cuda.is_available()
    strategy: Strategy
    if world_size > 1:
        strategy = DDPStrategy(
            process_group_backend="nccl" if on_gpu else "gloo", gradient_as_bucket_view=True
        )
    else:
        strategy = SingleDeviceStrategy(torch.device("cuda", 0) if on_gpu else torch.device("cpu"))
    return pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=here,
        num_nodes=world_size // here,
        strategy=strategy,
        precision=LIGHTNING_NAMES[precision],
        max_epochs=spec.max_epochs,
        accumulate_grad_batches=spec.accumulate,
        gradient_clip_val=spec.clip_norm,
        deterministic=spec.deterministic,
        callbacks=callbacks,
        plugins=[keeper] if keeper else None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Holds back hints about Lightning's own loaders, loggers and code.

    They are not used here.
    """
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", category=UserWarning, module=r"(pytorch_lightning|lightning_fabric)\b"
        )
        warnings.filterwarnings("ignore", category=FutureWarning, message=r".*treespec.*")
        yield
