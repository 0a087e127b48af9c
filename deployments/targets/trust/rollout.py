"""A rollout: which devices a release reaches, and from when on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.targets.specs import ClassName
from storage.base.store import sha256_bytes

WHOLE: Final = 1_000_000
_DRAWN_BITS: Final = 64


@dataclass(frozen=True)
class Taker:
    """Who asks a channel for a release.

    Attributes:
        id: The id of the device or endpoint; None: nobody in particular, as `lepton predict` is.
        device_class: The class of the device; None: none.
    """

    id: str | None = None
    device_class: str | None = None


NOBODY: Final = Taker()


class Rollout(BaseModel):
    """Which devices a release reaches, and from when on.

    Attributes:
        share_millionths: Share of the devices, in millionths: signed metadata holds whole numbers.
        not_before: The earliest time; None: at once.
        device_classes: The classes of devices that it is for; empty: all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share_millionths: int = Field(default=WHOLE, ge=0, le=WHOLE)
    not_before: datetime | None = None
    device_classes: tuple[ClassName, ...] = ()

    @model_validator(mode="after")
    def _check_zone(self) -> Self:
        if self.not_before is not None and self.not_before.tzinfo is None:
            raise ValueError("not_before must have a time zone; got none; append Z for UTC")
        return self

    @property
    def share(self) -> float:
        """The share of the devices, from 0 to 1."""
        return self.share_millionths / WHOLE

    @property
    def is_whole(self) -> bool:
        """Whether the release is for everybody, at once."""
        return self == Rollout()

    def is_over(self, now: datetime) -> bool:
        """Tell whether the release reaches everybody by now, so that none before it is needed."""
        begun = self.not_before is None or self.not_before <= now
        return begun and self.share_millionths == WHOLE and not self.device_classes

    def find_hindrance(self, taker: Taker, now: datetime) -> str | None:
        """Return why the release is not for who asks; None: it is.

        Who has no id is no canary, and who has no class is of none that is named.
        """
        if self.not_before is not None and now < self.not_before:
            return f"it begins at {self.not_before.isoformat()}"
        if self.device_classes and taker.device_class not in self.device_classes:
            classes = ", ".join(self.device_classes)
            return f"it is for class {classes}, not {taker.device_class or 'one without a class'}"
        if self.share_millionths == WHOLE:
            return None
        if taker.id is None:
            return f"it is for {self.share:.4%} of the devices, and who asks has no id"
        if draw_place(taker.id) >= self.share_millionths:
            return f"it is for {self.share:.4%} of the devices, and {taker.id} is not among them"
        return None

    def describe(self) -> str:
        """Return it in words."""
        parts = [f"{self.share * 100:g} % of the devices"]
        if self.device_classes:
            parts.append(f"of class {', '.join(self.device_classes)}")
        if self.not_before is not None:
            parts.append(f"from {self.not_before.isoformat()}")
        return " ".join(parts) if not self.is_whole else "all devices"


EVERYBODY: Final = Rollout()


def draw_place(device: str) -> int:
    """Return a device's place among all, from 0 to 999,999: those of low places are the canaries.

    It depends on the id alone, so a share that grows keeps those that it had.
    """
    drawn = int(sha256_bytes(device.encode())[: _DRAWN_BITS // 4], 16)
    return drawn * WHOLE >> _DRAWN_BITS


def make_rollout(
    share: float = 1.0,
    not_before: datetime | None = None,
    device_classes: tuple[str, ...] = (),
) -> Rollout:
    """Make a rollout of a share from 0 to 1."""
    return Rollout(
        share_millionths=round(share * WHOLE),
        not_before=not_before,
        device_classes=device_classes,
    )
