"""What a recipe says about the network, its training and its export.

Frozen models of plain data; importing them costs neither torch nor Lightning. Wherever a component is named (`family`,
`name`), a user's own can stand instead, as the import path "package.module:Name".
"""

import re
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
FAMILIES = ("mlp", "cnn", "rnn", "transformer")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULERS = ("cosine", "plateau", "constant")
LOSSES = ("cross_entropy",)


def is_import_path(name: str) -> bool:
    """Whether a component's name is a user's own, "package.module:Name"."""
    return IMPORT_PATH.fullmatch(name) is not None


def _check_name(what: str, known: tuple[str, ...], name: str) -> str:
    if name not in known and not is_import_path(name):
        raise ValueError(
            f"{what} ({name!r}) must be one of {', '.join(known)}, or an import path; got neither; "
            "choose one of them, or write your own as package.module:Name"
        )
    return name


FamilyName = Annotated[str, AfterValidator(partial(_check_name, "network family", FAMILIES))]
OptimizerName = Annotated[str, AfterValidator(partial(_check_name, "optimizer", OPTIMIZERS))]
SchedulerName = Annotated[str, AfterValidator(partial(_check_name, "scheduler", SCHEDULERS))]
LossName = Annotated[str, AfterValidator(partial(_check_name, "loss", LOSSES))]


class Spec(BaseModel):
    """Base of every spec: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HeadSpec(Spec):
    """Preprocessing that is trained with the network and exported with it.

    Attributes:
        normalise: "standard" subtracts the training split's mean and divides by its standard deviation, channel by
            channel; "range" maps the declared value range onto 0..1; "none" only converts to float32.
    """

    normalise: Literal["standard", "range", "none"] = "standard"


class NetworkSpec(Spec):
    """Which network, and its own parameters.

    Attributes:
        family: One of `FAMILIES`, or the import path of a callable
            `(input_shape=(C, H, W), outputs=K, **params) -> nn.Module`.
        params: Keyword arguments of that family; a wrong one is refused when the network is built, before any training.
    """

    family: FamilyName = "cnn"
    params: dict[str, Any] = Field(default_factory=dict)


class ModelSpec(Spec):
    """The head and the network behind it."""

    head: HeadSpec = HeadSpec()
    network: NetworkSpec = NetworkSpec()


class SampleSpec(Spec):
    """What one sample looks like, and what was fitted on the training rows; not part of a recipe.

    Attributes:
        shape: (C, H, W).
        dtype: Of the raw values.
        classes: K, at least 2.
        value_range: Smallest and largest raw value that the recipe allows.
        mean: Mean raw value of the training rows: of each channel, or one for all.
        std: Standard deviation, likewise, >= 0.
    """

    shape: tuple[int, int, int]
    dtype: Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"] = "uint8"
    classes: int = Field(ge=2)
    value_range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Field(ge=0)], ...] = (1.0,)


class OptimizerSpec(Spec):
    """Which optimizer.

    Attributes:
        name: One of `OPTIMIZERS`, or the import path of a callable `(parameters, lr=..., **params) -> Optimizer`.
        lr: Peak learning rate, in (0, 10].
        weight_decay: In [0, 1]; not applied to biases and normalisation layers.
        params: Further keyword arguments.
    """

    name: OptimizerName = "adamw"
    lr: float = Field(default=3e-3, gt=0, le=10)
    weight_decay: float = Field(default=0.05, ge=0, le=1)
    params: dict[str, Any] = Field(default_factory=dict)


class SchedulerSpec(Spec):
    """How the learning rate moves.

    Attributes:
        name: "cosine" (Loshchilov and Hutter, 2017) to `floor` over all steps, "plateau" (times `factor` when the
            validation loss has not improved for `patience_epochs`), "constant", or the import path of a callable
            `(optimizer, total_steps=..., **params) -> LRScheduler`, stepped after every optimizer step.
        warmup_fraction: Part of all steps with a linear warm-up, in [0, 0.5].
        floor: Last learning rate as a fraction of the peak, in [0, 1].
    """

    name: SchedulerName = "cosine"
    warmup_fraction: float = Field(default=0.1, ge=0, le=0.5)
    floor: float = Field(default=0.01, ge=0, le=1)
    factor: float = Field(default=0.3, gt=0, lt=1)
    patience_epochs: int = Field(default=3, ge=1)
    params: dict[str, Any] = Field(default_factory=dict)


class LossSpec(Spec):
    """What is minimised.

    Attributes:
        name: "cross_entropy", or the import path of a callable
            `(logits (N, K), labels (N,), **params) -> scalar Tensor`.
        label_smoothing: In [0, 0.5]; for "cross_entropy" only.
        params: Further keyword arguments.
    """

    name: LossName = "cross_entropy"
    label_smoothing: float = Field(default=0.05, ge=0, le=0.5)
    params: dict[str, Any] = Field(default_factory=dict)


class AugmentationSpec(Spec):
    """Small random changes of the training images: a pure function of (seed, epoch, row id).

    One affine map an image, sampled bilinearly in the images' own value range; what comes in from outside is zero.

    Attributes:
        enabled: False leaves every image as it is.
        shift: Largest shift along each axis, as a fraction of that axis, in [0, 0.5].
        rotate_deg: Largest rotation, in degrees, in [0, 180].
        scale: Largest change of size: the factor lies in [1 - scale, 1 + scale], scale in [0, 0.5].
        shear_deg: Largest shear, in degrees, in [0, 45].
        flip: Whether half of the images are mirrored left to right (never for digits or letters).
    """

    enabled: bool = True
    shift: float = Field(default=0.05, ge=0, le=0.5)
    rotate_deg: float = Field(default=8.0, ge=0, le=180)
    scale: float = Field(default=0.08, ge=0, le=0.5)
    shear_deg: float = Field(default=3.0, ge=0, le=45)
    flip: bool = False


class EarlyStoppingSpec(Spec):
    """When to stop before the last epoch.

    Attributes:
        patience_epochs: Epochs without improvement on the validation rows; None trains to the end.
        min_delta: Smallest change of the validation score that counts, >= 0.
    """

    patience_epochs: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.0, ge=0)


class TrainSpec(Spec):
    """How the network is trained.

    Attributes:
        max_epochs: Passes over the training rows.
        batch_size: Rows of one optimizer step over all devices together: the global batch, whatever their number.
        accumulate: Micro-batches that one such batch is cut into, to save memory; must divide it.
        clip_norm: Largest gradient norm; None leaves gradients as they are.
        precision: "fp32", "bf16" (autocast), or "auto": bf16 on a GPU that has it, else fp32.
        seed: Of initial weights, order of rows, augmentation and dropout.
        deterministic: Whether only deterministic algorithms are used: equal inputs then give bit-equal weights.
        devices: Number of processes, one device each, or "auto": every GPU, else one CPU process.
        select_by: Validation figure by which the best epoch's weights are chosen; the loss breaks ties.
        checkpoint_every_steps: Optimizer steps between two states that training can resume from exactly.
        log_every_steps: Steps between two lines of the metric log.
        explode_factor: The run stops when the loss exceeds this many times the loss of the first step.
        timeout_s: Wall time after which the training process is ended.
    """

    max_epochs: int = Field(default=24, ge=1, le=100_000)
    batch_size: int = Field(default=64, ge=1, le=1_000_000)
    accumulate: int = Field(default=1, ge=1, le=1024)
    clip_norm: float | None = Field(default=1.0, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: int = Field(default=0, ge=0, lt=2**31)
    deterministic: bool = True
    devices: int | Literal["auto"] = "auto"
    optimizer: OptimizerSpec = OptimizerSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    loss: LossSpec = LossSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    early_stopping: EarlyStoppingSpec = EarlyStoppingSpec()
    select_by: Literal["accuracy", "loss"] = "accuracy"
    checkpoint_every_steps: int = Field(default=200, ge=1)
    log_every_steps: int = Field(default=20, ge=1)
    explode_factor: float = Field(default=1e4, gt=1)
    timeout_s: float = Field(default=6 * 3600.0, gt=0)

    @model_validator(mode="after")
    def _check_batch(self) -> "TrainSpec":
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate ({self.accumulate}) must divide the batch; got batch_size {self.batch_size}; "
                f"choose batch_size {self.batch_size // self.accumulate * self.accumulate or self.accumulate}"
            )
        if isinstance(self.devices, int) and (self.devices < 1 or self.batch_size // self.accumulate % self.devices):
            raise ValueError(
                f"devices ({self.devices}) must be at least 1 and divide batch_size / accumulate; got "
                f"{self.batch_size // self.accumulate} rows; choose another batch_size, or devices: auto"
            )
        return self


class CompressSpec(Spec):
    """Which artifacts are made from the trained network.

    Attributes:
        candidates: "fp32" (ONNX, float32) and "int8" (static QDQ, 8-bit weights a channel, 8-bit activations).
        calibration_rows: Training rows that fix the activations' ranges, in [16, 10000].
    """

    candidates: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")
    calibration_rows: int = Field(default=256, ge=16, le=10_000)

    @model_validator(mode="after")
    def _check_candidates(self) -> "CompressSpec":
        if not self.candidates or len(set(self.candidates)) != len(self.candidates):
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must name each artifact once and at least one; "
                "write candidates: [fp32, int8]"
            )
        if "fp32" not in self.candidates:
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must hold fp32, the reference that the others are measured "
                "against; add it"
            )
        return self
