"""What a recipe says about the training of the network, and about its export."""

import re
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from lightning_modules.specs.base import Spec, check_name
from lightning_modules.specs.forms import list_augmentations
from lightning_modules.specs.objectives import list_losses, list_metrics

OPTIMIZERS = ("adamw", "adam", "sgd", "muon")
SCHEDULERS = ("cosine", "linear", "plateau", "constant")

AugmentationName = Annotated[
    str, AfterValidator(partial(check_name, "augmentation", list_augmentations))
]
MetricName = Annotated[
    str, AfterValidator(partial(check_name, "metric", lambda: ("loss", "last", *list_metrics())))
]
OptimizerName = Annotated[str, AfterValidator(partial(check_name, "optimizer", lambda: OPTIMIZERS))]
SchedulerName = Annotated[str, AfterValidator(partial(check_name, "scheduler", lambda: SCHEDULERS))]
LossName = Annotated[str, AfterValidator(partial(check_name, "loss", list_losses))]


class OptimizerSpec(Spec):
    """Which optimizer.

    Attributes:
        name: "adamw", "adam", "sgd", "muon" (Jordan et al., 2024), which steps matrices and kernels
            by `lr` and all else as Adam by `params.rest_lr`, or the import path of a callable
            `(parameters, lr=..., **params) -> Optimizer`.
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
        name: "cosine" (Loshchilov and Hutter, 2017) or "linear" to `floor` over all steps,
            "plateau" (times `factor` when the validation loss has not improved for
            `patience_epochs`), "constant", or the import path of a callable `(optimizer,
            total_steps=..., **params) -> LRScheduler`, stepped after every optimizer step.
        warmup_fraction: Part of all steps with a linear warm-up, in [0, 0.5].
        floor: Last learning rate as a fraction of the peak, in [0, 1].
        factor: What "plateau" multiplies the learning rate by, in (0, 1).
        patience_epochs: Epochs without improvement after which it does.
        params: Keyword arguments of a schedule of your own.
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
        name: For classes "cross_entropy" or "focal" (Lin et al., 2017); for values "mse", "mae" or
            "huber"; or the import path of a callable `(logits (N, K), labels (N,), **params) ->
            scalar Tensor`, which for values gets two tensors of one shape, in standard deviations.
            None: "cross_entropy" or "mse".
        label_smoothing: In [0, 0.5]; for "cross_entropy" only.
        class_weights: "balanced" lets every class count alike however rare it is; "none" every row.
        gamma: How little "focal" minds what is answered right already, >= 0.
        delta: Error in standard deviations from which "huber" is linear.
        params: Further keyword arguments.
    """

    name: LossName | None = None
    label_smoothing: float = Field(default=0.05, ge=0, le=0.5)
    class_weights: Literal["none", "balanced"] = "none"
    gamma: float = Field(default=2.0, ge=0, le=10)
    delta: float = Field(default=1.0, gt=0, le=100)
    params: dict[str, Any] = Field(default_factory=dict)


class AugmentationSpec(Spec):
    """Small random changes of the training samples: a pure function of (seed, epoch, row id).

    "affine" is one map an image, sampled bilinearly in the images' own value range; what comes in
    from outside is zero. Then come the changes for natural images, `crop` to `cutout`.

    Attributes:
        name: "affine" for images; "jitter" for tables and series: Gaussian noise on numbers; or the
            import path of a callable `(spec, seed) -> augment.Augmentation`. None: "affine" for
            images, none for others.
        params: For an augmentation of your own to read.
        enabled: False leaves every sample as it is.
        noise: Standard deviation of "jitter", in standard deviations of the training rows.
        shift: Largest shift along each axis, as a fraction of that axis, in [0, 0.5].
        rotate_deg: Largest rotation, in degrees, in [0, 180].
        scale: Largest change of size: the factor lies in [1 - scale, 1 + scale], scale in [0, 0.5].
        shear_deg: Largest shear, in degrees, in [0, 45].
        flip: Whether half of the images are mirrored left to right, and the other half in the next
            epoch (never for digits or letters).
        crop: Largest shift by whole pixels along each axis, in [0, 64]; what comes in is the mirror
            image of the edge.
        brightness: Largest change of all values, as a fraction of the value range, in [0, 1].
        contrast: Largest change of the distance from the image's mean: the factor lies in [1 -
            contrast, 1 + contrast].
        saturation: The same for the distance from each pixel's mean over the channels.
        cutout: Edge of one square that is painted over with the image's mean, as a fraction of the
            shorter edge, in [0, 1] (DeVries and Taylor, 2017).
        small_from: Edge of the images in the first epoch as a fraction of the full one, in [0.25,
            1]; it grows by even numbers of pixels, up to full images at `small_until`. Small images
            cost little, and teach what is coarse.
        small_until: Part of the epochs before which images are smaller, in [0, 1].
    """

    name: AugmentationName | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    noise: float = Field(default=0.05, ge=0, le=10)
    shift: float = Field(default=0.05, ge=0, le=0.5)
    rotate_deg: float = Field(default=8.0, ge=0, le=180)
    scale: float = Field(default=0.08, ge=0, le=0.5)
    shear_deg: float = Field(default=3.0, ge=0, le=45)
    flip: bool = False
    crop: int = Field(default=0, ge=0, le=64)
    brightness: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.0, ge=0, le=1)
    saturation: float = Field(default=0.0, ge=0, le=1)
    cutout: float = Field(default=0.0, ge=0, le=1)
    small_from: float = Field(default=1.0, ge=0.25, le=1)
    small_until: float = Field(default=0.75, ge=0, le=1)


class StartSpec(Spec):
    """Weights that the network starts from, instead of drawn ones: all that `fresh` does not name must be there and fit.

    The head is always fitted to the training rows at hand.

    Attributes:
        model: Id of a model that was promoted in this workspace, its first 8 digits or more. No
            held-out row may be one that it learned from: the prepared gate looks.
        url: Instead of that a safetensors file at a path or an fsspec URL, with a network's tensors
            under their names in it, as `layer1.0.conv1.weight`. What that network learned from,
            nobody here can know.
        sha256: What the file's bytes must hash to. None takes any; the receipt says which they
            were.
        fresh: Parts of the network that are drawn all the same, by the first words of their names,
            as `classifier` or `fc`: the last layer, where other classes are to be told apart;
            `head` for embeddings of texts. Of what the file alone has: parts to pass over.
        freeze: Parts that stay as they come, normalisation and dropout included, as `features` of
            the CNN or `layer1` of the ResNet.
    """

    model: str | None = None
    url: str | None = None
    sha256: str | None = None
    fresh: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()

    @field_validator("model", "sha256", mode="before")
    @classmethod
    def _check_digits(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int | float):
            raise ValueError(  # noqa: TRY004 - pydantic takes no other
                f"{info.field_name} ({value}) must be text; got a number, as YAML reads digits "
                "alone; write it in quotes"
            )
        return value

    @model_validator(mode="after")
    def _check_origin(self) -> "StartSpec":
        if (self.model is None) == (self.url is None):
            raise ValueError(
                "name a model, or the url of a file, and not both; write model: ID, or url: FILE"
            )
        for name, value, fewest in (("model", self.model, 8), ("sha256", self.sha256, 64)):
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{fewest},64}}", value):
                digits = "64" if fewest == 64 else f"{fewest} to 64"
                raise ValueError(
                    f"{name} ({value}) must be {digits} digits of 0-9 and a-f; got others; mend it"
                )
        if self.sha256 is not None and self.model is not None:
            raise ValueError(
                f"sha256 ({self.sha256}) must go with a url; got a model, whose id says it; leave "
                "it out"
            )
        both = [part for part in self.freeze if any(_overlap(part, other) for other in self.fresh)]
        if both:
            raise ValueError(
                f"freeze ({', '.join(both)}) must not name what is drawn: it would never learn; "
                "take it out of one"
            )
        return self


def _overlap(part: str, other: str) -> bool:
    """Whether one of two parts of a network lies in the other."""
    return f"{part}.".startswith(f"{other}.") or f"{other}.".startswith(f"{part}.")


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
        batch_size: Rows of one optimizer step over all devices together: the global batch, whatever
            their number.
        accumulate: Micro-batches that one such batch is cut into, to save memory; must divide it.
        clip_norm: Largest gradient norm; None leaves gradients as they are.
        precision: "fp32", "bf16" (autocast), or "auto": bf16 where the hardware has units for it,
            the samples are images, and a measured step is at least 1.3 times as fast; else fp32.
            A resumed training keeps the one that it began in.
        seed: Of initial weights, order of rows, augmentation and dropout.
        deterministic: Whether only deterministic algorithms are used: equal inputs then give
            bit-equal weights.
        devices: Number of processes on a machine, one device each, or "auto": every GPU, else one
            CPU process.
        nodes: Machines that train together, each with as many devices.
        start_from: Weights to start from; None draws them.
        select_by: Validation figure by which the best epoch's weights are chosen; the loss breaks
            ties. "loss"; a metric; or the import path of a callable `(answers, truth) -> float` of
            numpy arrays, larger being better. "last" asks no figure: the last epoch's weights,
            where so few validation rows are of the class that matters that the best epoch is
            chance. None: "accuracy" for classes, "loss" for all else.
        checkpoint_every_steps: Optimizer steps between two states that training can resume from
            exactly.
        log_every_steps: Steps between two lines of the metric log.
        explode_factor: The run stops when the loss exceeds this many times the loss of the first
            step.
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
    nodes: int = Field(default=1, ge=1, le=1024)
    start_from: StartSpec | None = None
    optimizer: OptimizerSpec = OptimizerSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    loss: LossSpec = LossSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    early_stopping: EarlyStoppingSpec = EarlyStoppingSpec()
    select_by: MetricName | None = None
    checkpoint_every_steps: int = Field(default=200, ge=1)
    log_every_steps: int = Field(default=20, ge=1)
    explode_factor: float = Field(default=1e4, gt=1)
    timeout_s: float = Field(default=6 * 3600.0, gt=0)

    @model_validator(mode="after")
    def _check_selection(self) -> "TrainSpec":
        if self.select_by == "last" and self.early_stopping.patience_epochs is not None:
            raise ValueError(
                f"early_stopping.patience_epochs ({self.early_stopping.patience_epochs}) must be "
                "left out where select_by "
                "is last; got both; choose a figure that can stop improving"
            )
        return self

    @model_validator(mode="after")
    def _check_batch(self) -> "TrainSpec":
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate ({self.accumulate}) must divide the batch; got batch_size "
                f"{self.batch_size}; "
                "choose batch_size "
                f"{self.batch_size // self.accumulate * self.accumulate or self.accumulate}"
            )
        rows = self.batch_size // self.accumulate
        least = 1 if self.devices == "auto" else self.devices
        if least < 1 or rows % (least * self.nodes):
            raise ValueError(
                f"devices ({self.devices}) on nodes ({self.nodes}) must be at least 1 and divide "
                "batch_size / accumulate; "
                f"got {rows} rows; choose another batch_size, or devices: auto"
            )
        return self


class CompressSpec(Spec):
    """Which artifacts are made from the trained network.

    Attributes:
        candidates: "fp32" (ONNX, float32) and "int8" (static QDQ, 8-bit weights a channel, 8-bit
            activations).
        calibration_rows: Training rows that fix the activations' ranges, in [16, 10000].
    """

    candidates: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")
    calibration_rows: int = Field(default=256, ge=16, le=10_000)

    @model_validator(mode="after")
    def _check_candidates(self) -> "CompressSpec":
        if not self.candidates or len(set(self.candidates)) != len(self.candidates):
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must name each artifact once and at "
                "least one; "
                "write candidates: [fp32, int8]"
            )
        if "fp32" not in self.candidates:
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must hold fp32, the reference that the "
                "others are measured "
                "against; add it"
            )
        return self
