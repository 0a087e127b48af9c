"""Names what can go wrong with a run.

FlowError
|-- RecipeError      the recipe is wrong: every fault at once, before anything starts
|-- ServerError      no Prefect server
|-- ResumeError      a run that was lost cannot go on
|-- BusyError        another process is at work on the same
|-- AbsentError      there is no such workspace
|-- GateStopped      a gate stopped the run; carries the receipt
`-- BatchStopped     a gate stopped a batch; carries its record
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.base.redaction import redact, redact_said
from storage.records.receipts import Receipt
from tasks.batch.record import BatchRecord


class FlowError(Exception):
    """A run could not be carried out."""


class ServerError(FlowError):
    """No Prefect server could be reached or started."""


class ResumeError(FlowError):
    """A run cannot go on: there is none of that name, or it is at work, or was altered."""


class BusyError(FlowError):
    """Another process is at work on the same thing."""


class AbsentError(FlowError):
    """There is no such workspace."""


@dataclass(frozen=True)
class RecipeFault:
    """Names one thing that is wrong with a recipe.

    Attributes:
        path: Dotted path of the key in the file.
        got: The value found there, as written, but for what can be secret.
        remedy: What to write instead.
        line: Line in the file, from 1, where known.
        option: The option that the value was given by, instead of the file.
    """

    path: str
    got: str
    rule: str
    remedy: str
    line: int | None = None
    option: str | None = None

    def __post_init__(self) -> None:
        """Takes out secrets, whoever found the fault: it is shown, logged and sent on."""
        object.__setattr__(self, "got", redact_said(self.got))
        for name in ("path", "rule", "remedy"):
            object.__setattr__(self, name, redact(getattr(self, name)))

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        where = f"{self.option}: " if self.option else where
        return f"{where}{self.path} ({self.got}) must {self.rule}; {self.remedy}"


class RecipeError(FlowError):
    """A recipe is wrong; carries every fault found in it."""

    def __init__(self, origin: str, faults: Sequence[RecipeFault]) -> None:
        self.origin = redact(origin)
        self.faults = tuple(faults)
        count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
        super().__init__(
            f"recipe {self.origin} has {count}:\n"
            + "\n".join(f"  - {fault}" for fault in self.faults)
        )


class GateStopped(FlowError):
    """A gate stopped the run: what was not proven good did not go on.

    Attributes:
        receipt: The signed record of the run, naming the stage and the reasons.
    """

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__(f"stopped at {receipt.stopped_at}: " + "; ".join(receipt.reasons))

    def __reduce__(self) -> tuple[type["GateStopped"], tuple[Receipt]]:
        return type(self), (self.receipt,)


class BatchStopped(FlowError):
    """A gate stopped a batch: no answer was published.

    Attributes:
        record: The signed record of the batch, naming the stage and the reasons.
    """

    def __init__(self, record: BatchRecord) -> None:
        self.record = record
        super().__init__(f"stopped at {record.stopped_at}: " + "; ".join(record.reasons))

    def __reduce__(self) -> tuple[type["BatchStopped"], tuple[BatchRecord]]:
        return type(self), (self.record,)
