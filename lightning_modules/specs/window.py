"""What a sample of a series is, as a recipe says it."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from lightning_modules.specs.base import Spec


class WindowSpec(Spec):
    """Some steps of the past, and what is asked about the time behind them."""

    lookback: int = Field(ge=1, le=100_000)
    """Steps of the past that the network sees."""
    horizon: int = Field(default=0, ge=0, le=100_000)
    """Steps that are forecast; 0 where nothing is."""
    stride: int = Field(default=1, ge=1)
    """Steps between the starts of two training windows."""
    held_out: Literal["all", "last"] = "all"
    """Which held-out windows are answered: all of them, or the last one of each entity, as where a
    machine is asked once how long it will last."""
    held_out_stride: int = Field(default=1, ge=1)
    """Steps between the starts of two held-out windows of an entity: the lookback and the horizon
    together make windows that share no row."""
    season: int | None = Field(default=None, ge=1)
    """Steps of a season, for the seasonal naive baseline; at most `lookback`. None leaves it
    out."""
    targets: tuple[str, ...] = ()
    """Columns of `data.numbers` that are forecast; empty for all of them."""
    max_gap_steps: float | None = Field(default=1.5, ge=1)
    """Longest time between two neighbouring rows of a window, in steps of the series; None for
    any."""

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
                "lengthen lookback, or leave season out"
            )
        return self
