"""The recipe's `device_classes` and `targets`: what an artifact must hold up on, to be released."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""What channels, devices, their classes and tags may be called: it becomes the name of a file."""
ClassName = Annotated[str, Field(pattern=NAME_PATTERN)]
Records = Literal["off", "metadata", "full"]


class Budget(BaseModel):
    """What an artifact may cost, and what it may lose, beside the limits of `gates.artifact`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_size_bytes: int | None = Field(default=None, gt=0)
    """Largest artifact, in bytes; None: that of `gates.artifact`."""
    max_latency_ms: float | None = Field(default=None, gt=0.0)
    """Largest median time of one answer to one row, in ms; None: that of `gates.artifact`."""
    max_latency_ms_p99: float | None = Field(default=None, gt=0.0)
    """Largest time of one answer to one row that 99 of 100 keep to, in ms; None: any."""
    max_memory_bytes: int | None = Field(default=None, gt=0)
    """Largest growth of a process that loads the artifact and answers, in bytes; None: any."""


class DeviceClass(Budget):
    """What devices of one class can bear: a channel is for the classes that its `classes` name.

    Times are those of this machine, times the slowdown, until a device of the class has measured
    them (`lepton measure`).
    """

    threads: int = Field(default=1, ge=1, le=256)
    """Threads that the latency is measured with, and that such a device computes in."""
    slowdown: float = Field(default=1.0, gt=0.0, le=1e6)
    """How many times as long as this machine such a device takes for an answer."""
    max_accuracy_drop: float | None = Field(default=None, ge=0.0, le=1.0)
    """Most held-out accuracy that may be lost to the float model, as a difference of fractions;
    None: that of `gates.artifact`."""
    max_error_increase: float | None = Field(default=None, ge=0.0)
    """Numbers: most by which the error may exceed the float model's, relative to it; None: that of
    `gates.artifact`."""


class TargetSpec(Budget):
    """One channel's demands on an artifact, beside those of its classes and of `gates.artifact`.

    What is stated here takes the place of what a class says.
    """

    prefer: tuple[str, ...] = Field(default=("fp32",), min_length=1)
    """Names of artifacts, best first, such as ("int8", "fp32")."""
    choose: Literal["auto", "first", "least"] = "auto"
    """"first": the first preferred artifact that meets all demands; "least": of all that were made,
    whatever is preferred, the one of the least latency times size that does; "auto": "least" where
    `classes` names one of `device_classes` and `prefer` is left as it is, else "first"."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """Threads that the latency is measured with, and that the target runs with; None: those of its
    classes, else 1."""
    share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of the devices that a new release reaches at first, canaries first, by a hash of their
    ids; `lepton channel promote` widens it."""
    classes: tuple[ClassName, ...] = ()
    """Classes of devices that a new release is for; none: all of them. It must hold up on each of
    them that `device_classes` describes."""
    not_before: AwareDatetime | None = None
    """Earliest time at which devices take a new release; None: at once."""
    approval: Literal["none", "required"] = "none"
    """Whether a person must approve a release: the run waits for `lepton approve RUN`, or for the
    form in Prefect's UI."""
    approval_timeout_h: float = Field(default=24.0, gt=0.0, le=720.0)
    """How long the run waits for that, in hours; after it the answer is no."""
    records: Records = "full"
    """The most that agents and endpoints keep of what is asked: "off": nothing, not even that it
    was; "metadata": when which model answered what, without what it was asked; "full": all. Those
    who run them may keep less."""


def list_classes(
    target: TargetSpec, described: Mapping[str, DeviceClass]
) -> dict[str, DeviceClass]:
    """Return the classes that a channel's artifact must hold up on, with the target's own limits.

    Args:
        target: The channel's demands.
        described: The recipe's `device_classes`.

    Returns:
        By name; one without a name, "", where the target names none that is described.
    """
    own = {
        name: value
        for name in ("threads", *Budget.model_fields)
        if (value := getattr(target, name)) is not None
    }
    named = {name: described[name] for name in target.classes if name in described}
    return {
        name: device.model_copy(update=own)
        for name, device in (named or {"": DeviceClass()}).items()
    }


def takes_least(target: TargetSpec, described: Mapping[str, DeviceClass]) -> bool:
    """Tell whether a channel gets the artifact of the least latency times size."""
    if target.choose != "auto":
        return target.choose == "least"
    unsaid = target.prefer == type(target).model_fields["prefer"].default
    return unsaid and any(name in described for name in target.classes)
