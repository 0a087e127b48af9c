"""What a recipe says about the network: its head, its family, its samples.

Frozen models of plain data; importing them costs neither torch nor Lightning. Wherever a component
is named (`family`, `name`), a user's own can stand instead, as the import path
"package.module:Name".
"""

import re
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from lightning_modules.specs.families import list_families

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
HEADS = ("standard",)


def is_import_path(name: str) -> bool:
    """Whether a component's name is a user's own, "package.module:Name"."""
    return IMPORT_PATH.fullmatch(name) is not None


def check_name(what: str, known: tuple[str, ...], name: str) -> str:
    """The name, if it is one of those known or an import path; else a `ValueError` says what could stand there."""
    if name not in known and not is_import_path(name):
        raise ValueError(
            f"{what} ({name!r}) must be one of {', '.join(known)}, or an import path; got neither; "
            "choose one of them, or write your own as package.module:Name"
        )
    return name


FamilyName = Annotated[str, AfterValidator(partial(check_name, "network family", list_families()))]
HeadName = Annotated[str, AfterValidator(partial(check_name, "head", HEADS))]


class Spec(BaseModel):
    """Base of every spec: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DenoiseSpec(Spec):
    """A filter over time, applied to each column of numbers of a window; its ends are held.

    Attributes:
        name: "gaussian"; "median"; or "savgol", a polynomial fitted to each neighbourhood (Savitzky
            and Golay, 1964).
        steps: Width of the neighbourhood in steps, odd.
        sigma: Standard deviation in steps, for "gaussian".
        degree: Of the polynomial, below `steps`, for "savgol".
    """

    name: Literal["gaussian", "median", "savgol"]
    steps: int = Field(default=5, ge=3, le=255)
    sigma: float = Field(default=1.0, gt=0, le=100)
    degree: int = Field(default=2, ge=0, le=6)

    @model_validator(mode="after")
    def _check_steps(self) -> "DenoiseSpec":
        if self.steps % 2 == 0:
            raise ValueError(
                f"steps ({self.steps}) must be odd; got an even one; choose {self.steps + 1}"
            )
        if self.name == "savgol" and self.degree >= self.steps:
            raise ValueError(
                f"degree ({self.degree}) must be below steps; got {self.steps} steps; lower the "
                "degree"
            )
        return self


class HeadSpec(Spec):
    """Preprocessing that is trained with the network and exported with it.

    Attributes:
        name: "standard", or the import path of a callable `(sample, spec, **params) -> nn.Module`
            for tables and series whose module maps raw rows to features.
        params: Keyword arguments of a head of your own.
        normalise: "standard" subtracts the training split's mean and divides by its standard
            deviation, channel by channel; "range" maps the declared value range of images onto
            0..1; "none" only converts to float32.
        mask: Whether a missing number is told to the network by a channel of its own, beside the
            mean that stands in for it; None: for tables, not for series.
        embed: Features of a learned embedding of each category; None: one-hot.
        products: Pairs of columns of numbers whose products are features too, such as power, which
            is torque times speed; for tables.
        differences: Pairs of columns whose differences are features too, the first less the second;
            for tables.
        denoise: A filter over time; for series.
        calendar: Sine and cosine of the time within these periods as features; for series with a
            time.
        instance_norm: Whether each window is normalised by its own mean and deviation, which are
            given back to what is forecast (RevIN; Kim et al., 2022); for series.
        mirror: Whether an image is answered by the mean over it and its mirror image, left to
            right: more accurate at twice the time, where what is mirrored is the same thing (never
            for digits or letters); for images.
    """

    name: HeadName = "standard"
    params: dict[str, Any] = Field(default_factory=dict)
    normalise: Literal["standard", "range", "none"] = "standard"
    mask: bool | None = None
    embed: int | None = Field(default=None, ge=1, le=1024)
    products: tuple[tuple[str, str], ...] = ()
    differences: tuple[tuple[str, str], ...] = ()
    denoise: DenoiseSpec | None = None
    calendar: tuple[Literal["day", "week", "year"], ...] = ()
    instance_norm: bool = False
    mirror: bool = False


class WindowSpec(Spec):
    """What a sample of a series is: some steps of the past, and what is asked about the time behind them.

    Attributes:
        lookback: Steps of the past that the network sees.
        horizon: Steps that are forecast; 0 where nothing is.
        stride: Steps between the starts of two training windows.
        season: Steps of a season, for the seasonal naive baseline; at most `lookback`. None leaves
            it out.
        targets: Columns of `data.numbers` that are forecast; empty for all of them.
        max_gap_steps: Longest time between two neighbouring rows of a window, in steps of the
            series; None for any.
    """

    lookback: int = Field(ge=1, le=100_000)
    horizon: int = Field(default=0, ge=0, le=100_000)
    stride: int = Field(default=1, ge=1)
    season: int | None = Field(default=None, ge=1)
    targets: tuple[str, ...] = ()
    max_gap_steps: float | None = Field(default=1.5, ge=1)

    @field_validator("targets")
    @classmethod
    def _reject_repeated(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("be columns that differ; remove the repeated one")
        return targets

    @model_validator(mode="after")
    def _check_season(self) -> "WindowSpec":
        if self.season is not None and self.season > self.lookback:
            raise ValueError(
                f"season ({self.season}) must lie within the lookback; got {self.lookback} steps; "
                "lengthen lookback, or "
                "leave season out"
            )
        return self


class NetworkSpec(Spec):
    """Which network, and its own parameters.

    Attributes:
        family: A family by its name, or the import path of a callable `(input_shape=...,
            outputs=..., **params) -> nn.Module`. The input's shape is (C, H, W) of images, (D,) of
            tables, (L, C) of series, the channels that are forecast first; the outputs are K
            classes or values, or (H, T) for H steps of T columns.
        params: Keyword arguments of that family; a wrong one is refused with the recipe's other
            faults.
    """

    family: FamilyName = "cnn"
    params: dict[str, Any] = Field(default_factory=dict)


class ModelSpec(Spec):
    """The head and the network behind it.

    Attributes:
        head: Preprocessing.
        network: The network.
        window: What a sample is, for series.
        figures_in: What errors of regression and forecasts are measured in: "units" of the source,
            or "standard" deviations of the training rows, without which columns of different units
            have no common error.
        anomaly_quantile: Share of the normal validation rows that lie below the threshold of
            anomaly detection.
    """

    head: HeadSpec = HeadSpec()
    network: NetworkSpec = NetworkSpec()
    window: WindowSpec | None = None
    figures_in: Literal["units", "standard"] = "units"
    anomaly_quantile: float = Field(default=0.99, gt=0, lt=1)


class SampleSpec(Spec):
    """What one image looks like, and what was fitted on the training rows; not part of a recipe.

    Attributes:
        kind: Tells it apart from a `samples.RowSample`.
        shape: (C, H, W).
        dtype: Of the raw values.
        classes: K, at least 2.
        class_weights: Weight of each class that evens out how often it occurs; empty where it is
            not known.
        value_range: Smallest and largest raw value that the recipe allows.
        mean: Mean raw value of the training rows: of each channel, or one for all.
        std: Standard deviation, likewise, >= 0.
    """

    kind: Literal["image"] = "image"
    shape: tuple[int, int, int]
    dtype: Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"] = "uint8"
    classes: int = Field(ge=2)
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    value_range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Annotated[float, Field(ge=0)], ...] = (1.0,)
