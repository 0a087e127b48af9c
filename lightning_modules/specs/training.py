"""What a recipe says about the training of the network."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.base import Spec, check_name
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.start import StartSpec

OPTIMIZERS = ("adamw", "adam", "sgd", "muon")
SCHEDULERS = ("cosine", "linear", "plateau", "constant")


def list_losses() -> tuple[str, ...]:
    """Returns the names of all built-in losses, of any objective."""
    return tuple(dict.fromkeys(name for row in OBJECTIVES.rows for name in row.losses))


def list_metrics() -> tuple[str, ...]:
    """Returns the names of all figures that epochs can be selected by, of any objective."""
    return tuple(
        dict.fromkeys(
            name
            for row in OBJECTIVES.rows
            for classes in (2, 3)
            for name in row.list_metrics(classes, labelled=True)
        )
    )


MetricName = Annotated[
    str, AfterValidator(partial(check_name, "metric", lambda: ("loss", "last", *list_metrics())))
]
OptimizerName = Annotated[str, AfterValidator(partial(check_name, "optimizer", lambda: OPTIMIZERS))]
SchedulerName = Annotated[str, AfterValidator(partial(check_name, "scheduler", lambda: SCHEDULERS))]
LossName = Annotated[str, AfterValidator(partial(check_name, "loss", list_losses))]


class OptimizerSpec(Spec):
    """Which optimizer."""

    name: OptimizerName = "adamw"
    """"adamw", "adam", "sgd", "muon" (Jordan et al., 2024), which steps matrices and kernels by
    `lr` and all else as Adam by `params.rest_lr`, or the import path of a callable `(parameters,
    lr=..., **params) -> Optimizer`."""
    lr: float = Field(default=3e-3, gt=0, le=10)
    """Peak learning rate, in (0, 10]."""
    weight_decay: float = Field(default=0.05, ge=0, le=1)
    """In [0, 1]; not applied to biases and normalisation layers."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further keyword arguments."""


class SchedulerSpec(Spec):
    """How the learning rate moves."""

    name: SchedulerName = "cosine"
    """"cosine" (Loshchilov and Hutter, 2017) or "linear" to `floor` over all steps, "plateau"
    (times `factor` when the validation loss has not improved for `patience_epochs`), "constant", or
    the import path of a callable `(optimizer, total_steps=..., **params) -> LRScheduler`, stepped
    after every optimizer step."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=0.5)
    """Part of all steps with a linear warm-up, in [0, 0.5]."""
    floor: float = Field(default=0.01, ge=0, le=1)
    """Last learning rate as a fraction of the peak, in [0, 1]."""
    factor: float = Field(default=0.3, gt=0, lt=1)
    """What "plateau" multiplies the learning rate by, in (0, 1)."""
    patience_epochs: int = Field(default=3, ge=1)
    """Epochs without improvement after which it does."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of a schedule of your own."""


class LossSpec(Spec):
    """What is minimised."""

    name: LossName | None = None
    """For classes "cross_entropy" or "focal" (Lin et al., 2017); for values "mse", "mae" or
    "huber"; or the import path of a callable `(logits (N, K), labels (N,), **params) -> scalar
    Tensor`, which for values gets two tensors of one shape, in standard deviations. None:
    "cross_entropy" or "mse"."""
    label_smoothing: float = Field(default=0.05, ge=0, le=0.5)
    """In [0, 0.5]; for "cross_entropy" only."""
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced" lets every class count alike however rare it is; "none" every row. Where
    `model.threshold` is chosen by what errors cost, weights gain nothing that can be relied on, and
    rank rows worse more often than better (`python -m benchmarks.imbalance`)."""
    gamma: float = Field(default=2.0, ge=0, le=10)
    """How little "focal" minds what is answered right already, >= 0."""
    delta: float = Field(default=1.0, gt=0, le=100)
    """Error in standard deviations from which "huber" is linear."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further keyword arguments."""


class EarlyStoppingSpec(Spec):
    """When to stop before the last epoch."""

    patience_epochs: int | None = Field(default=None, ge=1)
    """Epochs without improvement on the validation rows; None trains to the end."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest change of the validation score that counts, >= 0."""


class TrainSpec(Spec):
    """How the network is trained."""

    max_epochs: int = Field(default=24, ge=1, le=100_000)
    """Passes over the training rows."""
    batch_size: int = Field(default=64, ge=1, le=1_000_000)
    """Rows of one optimizer step over all devices together: the global batch, whatever their
    number."""
    accumulate: int = Field(default=1, ge=1, le=1024)
    """Micro-batches that one such batch is cut into, to save memory; must divide it."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest gradient norm; None leaves gradients as they are."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """"fp32", "bf16" (autocast), or "auto": bf16 where the hardware has units for it, the samples
    are images, and a measured step is at least 1.3 times as fast; else fp32. A resumed training
    keeps the one that it began in."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Of initial weights, order of rows, augmentation and dropout."""
    deterministic: bool = True
    """Whether only deterministic algorithms are used: equal inputs then give bit-equal weights."""
    devices: int | Literal["auto"] = "auto"
    """Number of processes on a machine, one device each, or "auto": every GPU, else one CPU
    process."""
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Threads that each process computes in, or "auto": what OMP_NUM_THREADS says, else as few as a
    measured step needs. A small network gains nothing by a second one and pays for it beside other
    work. A resumed training keeps the number that it began with, as far as there are cores."""
    nodes: int = Field(default=1, ge=1, le=1024)
    """Machines that train together, each with as many devices."""
    average_weights: float | None = Field(default=None, ge=0, lt=1)
    """Share of an average of the weights that stays at each step, such as 0.999; the average is
    judged and kept, which ripples less than the last weights. None keeps the weights themselves;
    what is fitted at once has none."""
    budget_minutes: float | None = Field(default=None, gt=0, le=100_000)
    """Processor time in minutes that the race of `model.network.family: auto` may cost before the
    winner is trained; None: one minute to three, by the rows."""
    start_from: StartSpec | None = None
    """Weights to start from; None draws them."""
    optimizer: OptimizerSpec = OptimizerSpec()
    """What steps the weights."""
    scheduler: SchedulerSpec = SchedulerSpec()
    """How the learning rate moves from step to step."""
    loss: LossSpec = LossSpec()
    """What the training minimises."""
    augmentation: AugmentationSpec = AugmentationSpec()
    """How training samples are changed at random."""
    early_stopping: EarlyStoppingSpec = EarlyStoppingSpec()
    """When the training ends before its last epoch."""
    select_by: MetricName | None = None
    """Validation figure by which the best epoch's weights are chosen; the loss breaks ties. "loss";
    a metric; or the import path of a callable `(answers, truth) -> float` of numpy arrays, larger
    being better. "last" asks no figure: the last epoch's weights, where so few validation rows are
    of the class that matters that the best epoch is chance. None: "accuracy" for classes, "loss"
    for all else."""
    checkpoint_every_steps: int = Field(default=200, ge=1)
    """Optimizer steps after which a state is due that training can resume from exactly."""
    checkpoint_every_s: float = Field(default=30.0, gt=0, le=3600)
    """Seconds after which one is due, too, so that a short or slow training need not start anew."""
    log_every_steps: int = Field(default=20, ge=1)
    """Steps between two lines of the metric log."""
    explode_factor: float = Field(default=1e4, gt=1)
    """The run stops when the loss exceeds this many times the loss of the first step."""
    timeout_s: float = Field(default=6 * 3600.0, gt=0)
    """Wall time after which the training process is ended."""

    @model_validator(mode="after")
    def _check_selection(self) -> "TrainSpec":
        if self.select_by == "last" and self.early_stopping.patience_epochs is not None:
            raise ValueError(
                f"early_stopping.patience_epochs ({self.early_stopping.patience_epochs}) must be "
                "left out where select_by is last; got both; choose a figure that can stop "
                "improving"
            )
        return self

    @model_validator(mode="after")
    def _check_batch(self) -> "TrainSpec":
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate ({self.accumulate}) must divide the batch; got batch_size "
                f"{self.batch_size}; choose batch_size "
                f"{self.batch_size // self.accumulate * self.accumulate or self.accumulate}"
            )
        rows = self.batch_size // self.accumulate
        least = 1 if self.devices == "auto" else self.devices
        if least < 1 or rows % (least * self.nodes):
            raise ValueError(
                f"devices ({self.devices}) on nodes ({self.nodes}) must be at least 1 and divide "
                f"batch_size / accumulate; got {rows} rows; choose another batch_size, or devices: "
                "auto"
            )
        return self
