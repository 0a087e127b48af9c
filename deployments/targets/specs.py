"""The recipe's `targets` section: what an artifact must hold up on, to be released on a channel."""

from pydantic import BaseModel, ConfigDict, Field


class TargetSpec(BaseModel):
    """One channel's demands: the first preferred artifact that meets all of them is released."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prefer: tuple[str, ...] = Field(default=("fp32",), min_length=1)
    """Names of artifacts, best first, such as ("int8", "fp32")."""
    max_accuracy_drop: float = Field(default=0.005, ge=0.0, le=1.0)
    """Accuracy (of anomaly detection: average precision), as a fraction, that an artifact may lose
    against the float model."""
    max_error_increase: float = Field(default=0.01, ge=0.0)
    """Most by which an artifact's mean absolute error may exceed the float model's, relative to
    it."""
    min_agreement: float = Field(default=0.99, ge=0.0, le=1.0)
    """Smallest fraction of rows on which an artifact gives the float model's label, or of values
    that are hardly apart from its own."""
    max_size_bytes: int | None = Field(default=None, gt=0)
    """Largest artifact; None: any."""
    max_latency_ms: float | None = Field(default=None, gt=0.0)
    """Largest median latency of one sample; None: any."""
    max_memory_bytes: int | None = Field(default=None, gt=0)
    """Largest growth of a process that loads the artifact and answers; None: any."""
    threads: int = Field(default=1, ge=1, le=256)
    """Threads that the latency is measured with, and that the target runs with."""
