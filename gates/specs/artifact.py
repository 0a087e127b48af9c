"""Limits of the artifact gate."""

from typing import Annotated

from pydantic import Field

from gates.specs.limits import Fraction, Limits, Positive


class ArtifactGate(Limits):
    """What the exact bytes of an artifact must show in the runtime before they are published."""

    max_accuracy_drop: Fraction = 0.01
    """Most held-out accuracy that may be lost to the float model, as a difference of fractions;
    where artifacts are chosen, on validation rows, chance is allowed for."""
    max_error_increase: Fraction = 0.02
    """Numbers: most by which the mean absolute error may exceed the float model's, relative to
    it; where artifacts are chosen, chance is allowed for."""
    min_agreement: Fraction = 0.98
    """Smallest fraction of held-out rows on which the artifact and the float model answer the same:
    the same label, or numbers within `agreement_tolerance`; where artifacts are chosen, chance is
    allowed for."""
    agreement_tolerance: Positive = 0.05
    """Numbers and scores: how far two answers may be apart to agree, in standard deviations of the
    target, or of the float model's scores."""
    max_size_bytes: Annotated[int, Field(ge=1)] = 64 * 1024 * 1024
    """Largest size of the file, in bytes."""
    max_latency_ms_p50: Positive = 100.0
    """Largest median time of one answer to one row, in milliseconds."""
