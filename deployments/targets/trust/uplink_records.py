"""What an uplink batch holds: records, their header, and what a file's name says of them."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from deployments.targets.trust.card import Sha256
from deployments.targets.trust.devices import DeviceId

_NAME = re.compile(
    r"^(?P<device>[a-z0-9][a-z0-9._-]{0,62})/"
    r"(?P<first>[1-9][0-9]{0,17})-(?P<last>[1-9][0-9]{0,17})-(?P<sha256>[0-9a-f]{64})"
    r"\.safetensors$"
)

Array = NDArray[Any]
Sequence = Annotated[int, Field(ge=1, lt=10**18)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UplinkRecord(_Record):
    """One answer that a device gave and kept, or one truth that it was told.

    Attributes:
        sequence: Its number among all that the device answered or was told.
        kind: "answer", "truth", or "metadata": an answer without what was asked.
        at: When it was given or told, by the device's clock.
        model_id: The model that answered; None of a truth.
        probability: The chance that an answer like this one had to be kept; 1 of a truth.
        reason: Why it was kept: "all" or "sampled".
        answer_id: `<device>:<sequence>` of an answer; of a truth, the answer that it belongs to,
            which is known or not.
        answer: What the model said, by the name of each output; empty of a truth.
        truth: What was true; None of an answer.
    """

    sequence: Sequence
    kind: Literal["answer", "truth", "metadata"]
    at: datetime
    model_id: Sha256 | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    reason: Literal["all", "sampled"] = "all"
    answer_id: Annotated[str, Field(min_length=1, max_length=200)]
    answer: dict[str, JsonValue] = {}
    truth: JsonValue = None


class Header(_Record):
    """What a batch's header says."""

    format: Literal[1] = 1
    device: DeviceId
    first: Sequence
    last: Sequence
    model_id: Sha256 | None
    records: tuple[UplinkRecord, ...]

    @model_validator(mode="after")
    def _check_records(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"range must have first <= last; got {self.first}-{self.last}")
        before = self.first - 1
        for record in self.records:
            if not before < record.sequence <= self.last:
                raise ValueError(
                    f"records must ascend within {self.first}-{self.last}; got {record.sequence}"
                )
            before = record.sequence
            if record.kind != "truth":
                self._check_answer(record)
        return self

    def _check_answer(self, record: UplinkRecord) -> None:
        if record.answer_id != f"{self.device}:{record.sequence}":
            raise ValueError(
                f"answer {record.sequence} must be called {self.device}:{record.sequence}; got "
                f"{record.answer_id}"
            )
        if record.kind == "metadata":
            return  # It has no input, by which a batch is of one model.
        if record.model_id is None or record.model_id != self.model_id:
            raise ValueError(
                f"answers must be of the batch's one model, {self.model_id}; got {record.model_id}"
            )


@dataclass(frozen=True)
class UplinkBatch:
    """The records of a range of one device's sequence numbers, all of one model and input shape.

    Attributes:
        device: The device's id.
        first: First number of the range.
        last: Last number of the range.
        model_id: The model that answered; None where there are truths only.
        records: What was kept of the range, ascending.
        inputs: (answers, *shape), the raw sample of each answer, in their order.
        times: (answers, L) float64, of series: when each row of a sample was, in seconds since
            1970; None of other forms.
        entities: Entities of which the device's record lets it tell, beside the one that it is
            named after; no part of the batch's file.
    """

    device: str
    first: int
    last: int
    model_id: str | None
    records: tuple[UplinkRecord, ...]
    inputs: Array = field(repr=False)
    times: Array | None = field(default=None, repr=False)
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchName:
    """What the name of a batch's file says, and has to be true of it."""

    device: str
    first: int
    last: int
    sha256: str


def parse_name(name: str) -> BatchName | None:
    """Return what the name of a file below `uplinks` says; None if it is no batch's."""
    match = _NAME.match(name)
    if match is None:
        return None
    device, first, last, digest = match.groups()
    return BatchName(device, int(first), int(last), digest)
