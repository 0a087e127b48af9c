"""What a sample of a series is, as a recipe says it."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lightning_modules.specs.base import Spec


class WindowSpec(Spec):
    """Some steps of the past, and what is asked about the time behind them."""

    lookback: int = Field(ge=1, le=100_000)
    """Steps of the past that the network sees."""
    horizon: int = Field(default=0, ge=0, le=100_000)
    """Steps that are forecast; 0 where nothing is."""
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Fewer steps than `horizon` by which a forecast is judged, too, each by itself: of `[3, 6]`
    figures of the first 3 steps and of the first 6 are told beside those of all."""
    lead: int = Field(default=0, ge=0, le=100_000)
    """Steps between the last one that is seen and the first that is forecast: 24 of hours asks,
    today, for the day after tomorrow."""
    known: tuple[str, ...] = ()
    """Columns of `data.numbers` and `data.texts` that are known of the steps to come, such as a
    holiday or what the weather service says, and the column of the time, for `head.calendar`. A
    model that knows some is asked with the rows behind the lookback, too, the lead's and the
    horizon's."""
    stride: int = Field(default=1, ge=1)
    """Steps between the starts of two training windows."""
    held_out: Literal["all", "last"] = "all"
    """Which held-out windows are answered: all of them, or the last one of each entity, as where a
    machine is asked once how long it will last."""
    held_out_stride: int = Field(default=1, ge=1)
    """Steps between the starts of two held-out windows of an entity: the lookback and the horizon
    together make windows that share no row."""
    season: int | None = Field(default=None, ge=1)
    """Steps of a season, for the seasonal naive baseline, which reads the series itself where a
    season is longer than the lookback. None leaves it out."""
    targets: tuple[str, ...] = ()
    """Columns of `data.numbers` that are forecast, all others are for input only; empty for all but
    those that are known."""
    max_gap_steps: float | None = Field(default=1.5, ge=1)
    """Longest time between two neighbouring rows of a window, in steps of the series; None for
    any."""

    @property
    def ahead(self) -> int:
        """Steps behind the lookback of which a sample has rows: none where nothing is known."""
        return self.lead + self.horizon if self.known else 0

    def list_targets(self, numbers: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the columns that are forecast, of the columns of numbers."""
        return self.targets or tuple(name for name in numbers if name not in self.known)

    @field_validator("targets", "known")
    @classmethod
    def _reject_repeated(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("be columns that differ; remove the repeated one")
        return targets

    @model_validator(mode="after")
    def _check_horizons(self) -> "WindowSpec":
        steps = (*self.horizons, self.horizon)
        if self.horizons and list(steps) != sorted(set(steps)):
            raise ValueError(
                f"horizons ({list(self.horizons)}) must rise and stay below the horizon of "
                f"{self.horizon} steps; write as horizons: [3, 6] with horizon: 12"
            )
        return self

    @model_validator(mode="after")
    def _check_known(self) -> "WindowSpec":
        if (self.lead or self.known) and not self.horizon:
            raise ValueError(
                "horizon (0) must be the steps to forecast where lead or known are given; write a "
                "number from 1 on"
            )
        if both := [name for name in self.known if name in self.targets]:
            raise ValueError(
                f"known ({', '.join(both)}) must not be forecast; take it out of known or targets"
            )
        return self
