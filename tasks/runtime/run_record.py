"""All that is known of a run: what its stages handed on, how long they took, when it went on."""

from datetime import datetime
from typing import TypeVar

from pydantic import Field, JsonValue

from gates.engine.report import GateReport
from tasks.runtime.approval_outcome import Approved
from tasks.runtime.model_outcomes import Evaluated, Trained
from tasks.runtime.outcome_base import AnyOutcome, Result, register_outcome
from tasks.runtime.outcomes import (
    Collected,
    Compressed,
    Judged,
    Prepared,
    Promoted,
    wrap_outcome,
)
from tasks.runtime.race_outcome import Chosen

T = TypeVar("T")
for _outcome in (
    Collected,
    Prepared,
    Judged,
    Chosen,
    Trained,
    Evaluated,
    Compressed,
    Approved,
    Promoted,
):
    register_outcome(_outcome)


class StageRecord(Result):
    """A stage that was begun, and its wall time in seconds.

    Attributes:
        outcome: What it handed on; None if it failed before.
    """

    outcome: AnyOutcome | None
    duration_s: float


class Resumption(Result):
    """A lost run that went on.

    Attributes:
        at: When.
        kept: Names of the stages that were kept.
        code: Digest of the code that made them.
        reason: Why no more were kept.
    """

    at: datetime
    kept: tuple[str, ...]
    code: str
    reason: str | None = None


class RunRecord(Result):
    """All that is known of a run: what its receipt and its page are made of.

    Attributes:
        run: Id of the run.
        flow: Name of the flow that it is a run of.
        plan: Names of all stages of the flow, in order.
        required_gates: Gates that the flow requires to be green before anything is published.
        workspace: Folder or URL that the run writes to.
        recipe: Name, digest and document of the recipe.
        flow_run: Prefect's id of the flow run that carries it out; None where nobody wrote it down.
        started_at: When the run began, UTC.
        stages: Every stage that was begun, in order.
        resumptions: The times that the run went on after it was lost.
    """

    run: str
    flow: str
    plan: tuple[str, ...] = ()
    required_gates: tuple[str, ...]
    workspace: str
    recipe: dict[str, JsonValue]
    flow_run: str | None = None
    started_at: datetime
    stages: dict[str, StageRecord] = Field(default_factory=dict)
    resumptions: tuple[Resumption, ...] = ()

    def with_stage(self, name: str, handed_on: object, duration_s: float) -> "RunRecord":
        """Return a copy that also knows this stage, and what it handed on (None for nothing)."""
        stage = StageRecord(outcome=wrap_outcome(handed_on), duration_s=duration_s)
        return self.model_copy(update={"stages": {**self.stages, name: stage}})

    def find(self, kind: type[T]) -> T | None:
        """Return the outcome of that kind; None if the run did not get there."""
        return next(
            (stage.outcome for stage in self.stages.values() if isinstance(stage.outcome, kind)),
            None,
        )

    @property
    def reports(self) -> tuple[GateReport, ...]:
        """The gates' reports so far, in order."""
        return tuple(
            stage.outcome.report
            for stage in self.stages.values()
            if isinstance(stage.outcome, Judged)
        )
