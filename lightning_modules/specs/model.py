"""What a recipe says about the network: its head, its family, its samples.

Frozen models of plain data; importing them costs neither torch nor Lightning. Wherever a component
is named (`family`, `name`), a user's own can stand instead, as the import path
"package.module:Name".
"""

from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from lightning_modules.specs.base import Spec, check_name
from lightning_modules.specs.forms import AUTO, list_families
from lightning_modules.specs.quantiles import check_levels
from lightning_modules.specs.threshold import ThresholdSpec
from lightning_modules.specs.window import WindowSpec

HEADS = ("standard",)


FamilyName = Annotated[
    str,
    AfterValidator(partial(check_name, "network family", lambda: (*list_families(), AUTO))),
]
HeadName = Annotated[str, AfterValidator(partial(check_name, "head", lambda: HEADS))]

_MOST_BUCKETS: Final = 2**17


class DenoiseSpec(Spec):
    """A filter over time, applied to each column of numbers of a window; its ends are held."""

    name: Literal["gaussian", "median", "savgol"]
    """"gaussian"; "median"; or "savgol", a polynomial fitted to each neighbourhood (Savitzky and
    Golay, 1964)."""
    steps: int = Field(default=5, ge=3, le=255)
    """Width of the neighbourhood in steps, odd."""
    sigma: float = Field(default=1.0, gt=0, le=100)
    """Standard deviation in steps, for "gaussian"."""
    degree: int = Field(default=2, ge=0, le=6)
    """Of the polynomial, below `steps`, for "savgol"."""

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
    """Preprocessing that is trained with the network and exported with it."""

    name: HeadName = "standard"
    """"standard", or the import path of a callable `(sample, spec, **params) -> nn.Module` for
    tables and series whose module maps raw rows to features."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of a head of your own."""
    normalise: Literal["standard", "range", "none", "entity"] = "standard"
    """"standard" subtracts the training split's mean and divides by its standard deviation, channel
    by channel; "range" maps the declared value range of images onto 0..1; "none" only converts to
    float32. Of series "entity" takes the mean and standard deviation of the entity's own training
    rows, those of all rows where an entity is not known, and gives them back to what is forecast;
    `data.texts` must hold the entity."""
    mask: bool | None = None
    """Whether a missing number is told to the network by a channel of its own, beside the mean that
    stands in for it; None: for tables, not for series."""
    embed: int | None = Field(default=None, ge=1, le=1024)
    """Features of a learned embedding of each category, of windows at each step; None: one-hot.
    What was not learned from, as a new entity, has none: all its features are 0. Forecasts that are
    fitted at once, as by closed_linear, go without categories."""
    hash: dict[str, Annotated[int, Field(ge=2, le=65_536)]] = Field(default_factory=dict)
    """Columns of `data.texts` with any number of different texts, as `{city: 256}`: each text has
    the one of so many buckets that its hash says (Weinberger et al., 2009), one that was never
    learned from, too. Other columns of texts hold at most 1,000 different ones."""
    frequency: tuple[str, ...] = ()
    """Columns of `data.texts` of which is told how often their text occurs among the training rows,
    and not which one it is: one feature a column, log(1 + its rows) / log(1 + all rows), 0 for what
    is missing or was not learned from; of a column that `hash` names, too, how often its bucket
    does. `embed` says nothing of them."""
    products: tuple[tuple[str, str], ...] = ()
    """Pairs of columns of numbers whose products are features too, such as power, which is torque
    times speed; for tables."""
    differences: tuple[tuple[str, str], ...] = ()
    """Pairs of columns whose differences are features too, the first less the second; for
    tables."""
    denoise: DenoiseSpec | None = None
    """A filter over time; for series."""
    calendar: tuple[Literal["day", "week", "year"], ...] = ()
    """Sine and cosine of the time within these periods as features; for series with a time."""
    instance_norm: bool = False
    """Whether each window is normalised by its own mean and deviation, which are given back to what
    is forecast (RevIN; Kim et al., 2022); for series."""
    mirror: bool = False
    """Whether an image is answered by the mean over it and its mirror image, left to right: more
    accurate at twice the time, where what is mirrored is the same thing (never for digits or
    letters); for images."""

    @field_validator("hash")
    @classmethod
    def _check_buckets(cls, buckets: dict[str, int]) -> dict[str, int]:
        """A card names each bucket, and a device reads no card of more than 2**18 parts."""
        if (got := sum(buckets.values())) > _MOST_BUCKETS:
            raise ValueError(
                f"hash must have at most {_MOST_BUCKETS} buckets together; got {got}; give each "
                "column fewer"
            )
        return buckets


class NetworkSpec(Spec):
    """Which network, and its own parameters."""

    family: FamilyName = "cnn"
    """A family by its name; where none is named, the first of cnn, mlp and autoencoder that suits
    the kind. "auto" lets all that suit race on the validation rows, baselines that can ship among
    them, and trains the winner (successive halving; Jamieson and Talwalkar, 2016). Of at most
    20,000 rows, of 6 million numbers, that `data.split.by: hash` spreads, the finalists, of which
    the family that this recipe would get without a word is one, are trained whole in turns on
    folds of training and validation rows, each judged on rows that chose nothing. Or the import
    path of a callable `(input_shape=..., outputs=..., **params) -> nn.Module`. The input's shape
    is (C, H, W) of images, (D,) of tables, (L, C) of series, the channels that are forecast
    first; the outputs are K classes or values, or (H, T) for H steps of T columns; of Q quantiles
    K * Q, or (Q * H, T), quantile after quantile."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of that family; a wrong one is refused with the recipe's other faults."""

    @model_validator(mode="after")
    def _check_auto(self) -> "NetworkSpec":
        if self.family == AUTO and self.params:
            raise ValueError(
                f"params ({', '.join(self.params)}) must be left out where family is {AUTO}; got "
                "some; remove them, or name the family that they are of"
            )
        return self


class ModelSpec(Spec):
    """The head and the network behind it."""

    head: HeadSpec = HeadSpec()
    """Preprocessing."""
    network: NetworkSpec = NetworkSpec()
    """The network."""
    window: WindowSpec | None = None
    """What a sample is, for series."""
    quantiles: tuple[float, ...] = ()
    """Shares of the cases that are to lie below what is answered, such as `[0.1, 0.5, 0.9]`, for
    numbers and forecasts: beside the median each of them is answered, trained by the pinball loss
    and calibrated on the validation rows. Empty: one answer."""
    positive: str | None = None
    """Of two classes the one that average precision and AUROC are of, as in `data.labels`; None:
    the rarer one in the training rows."""
    threshold: ThresholdSpec | None = None
    """From which probability on the positive of two classes is answered, chosen on the validation
    rows and kept in every artifact; None answers with the more probable one."""
    figures_in: Literal["units", "standard"] = "units"
    """What errors of regression and forecasts are measured in: "units" of the source, or "standard"
    deviations of the training rows, without which columns of different units have no common
    error."""
    anomaly_quantile: float = Field(default=0.99, gt=0, lt=1)
    """Share of the normal validation rows that lie below the threshold of anomaly detection."""

    @field_validator("quantiles")
    @classmethod
    def _check_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        check_levels(quantiles)
        return quantiles
