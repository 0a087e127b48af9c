"""The recipe's `targets` section: what an artifact must hold up on, to be released on a channel."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""What channels, devices, their classes and tags may be called: it becomes the name of a file."""
ClassName = Annotated[str, Field(pattern=NAME_PATTERN)]


class TargetSpec(BaseModel):
    """One channel's demands on an artifact, beside those of the recipe's `gates.artifact`.

    The first preferred artifact that meets all of them is released.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prefer: tuple[str, ...] = Field(default=("fp32",), min_length=1)
    """Names of artifacts, best first, such as ("int8", "fp32")."""
    choose: Literal["first", "least"] = "first"
    """"first": the first preferred artifact that meets all demands; "least": of all that were made,
    whatever is preferred, the one of the least latency times size that does."""
    max_size_bytes: int | None = Field(default=None, gt=0)
    """Largest artifact, in bytes; None: that of `gates.artifact`."""
    max_latency_ms: float | None = Field(default=None, gt=0.0)
    """Largest median time of one answer to one row, in ms; None: that of `gates.artifact`."""
    max_latency_ms_p99: float | None = Field(default=None, gt=0.0)
    """Largest time of one answer to one row that 99 of 100 keep to, in ms; None: any."""
    max_memory_bytes: int | None = Field(default=None, gt=0)
    """Largest growth of a process that loads the artifact and answers, in bytes; None: any."""
    threads: int = Field(default=1, ge=1, le=256)
    """Threads that the latency is measured with, and that the target runs with."""
    share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of the devices that a new release reaches at first, canaries first, by a hash of their
    ids; `lepton channel promote` widens it."""
    classes: tuple[ClassName, ...] = ()
    """Classes of devices that a new release is for; none: all of them."""
    not_before: AwareDatetime | None = None
    """Earliest time at which devices take a new release; None: at once."""
    approval: Literal["none", "required"] = "none"
    """Whether a person must approve a release: the run waits for `lepton approve RUN`, or for the
    form in Prefect's UI."""
    approval_timeout_h: float = Field(default=24.0, gt=0.0, le=720.0)
    """How long the run waits for that, in hours; after it the answer is no."""
