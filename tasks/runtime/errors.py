"""What can go wrong while a stage runs.

TaskError
|-- BatchError       rows cannot be answered as they were asked for
|-- ClusterError     the Dask cluster did not start, or was lost
|-- StartError       the weights that training is to start from are not those that the recipe means
|-- WorkerFailed     the training process did not finish its job
`-- StageStopped     the stage's outcome was not proven good: no fault of the program, never retried
"""

from gates.engine.report import GateReport

TIMED_OUT = "TimedOut"
FAULTS_OF_THE_RECIPE = ("DivergedError", "InvalidInput", "SpecError")
"""Kinds of faults that training would end in again, unless the recipe changes."""


class TaskError(Exception):
    """A stage could not be carried out."""


class ClusterError(TaskError):
    """The Dask cluster did not start, or was lost."""


class BatchError(TaskError):
    """Rows cannot be answered, or answers not written, as they were asked for."""


class StartError(TaskError):
    """The weights to start from are not there, not proven, or not those that the recipe means."""


class WorkerFailed(TaskError):
    """The training process did not finish its job.

    Attributes:
        kind: Class of the fault that the worker named itself ("DivergedError", "Corrupt", ...);
            `TIMED_OUT`; None if it was killed or crashed.
    """

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def was_lost(self) -> bool:
        """Whether the process was killed or crashed, so that another attempt may go further."""
        return self.kind is None

    @property
    def is_hopeless(self) -> bool:
        """Whether the recipe itself is at fault, so that another attempt would fail again."""
        return self.kind in FAULTS_OF_THE_RECIPE


class StageStopped(TaskError):
    """The run ends here.

    Attributes:
        stage: Name of the stage, as in "gate raw".
        reasons: One sentence a reason, with rule, observed and limit.
        report: The gate's report, where a gate stopped it.
    """

    def __init__(
        self, stage: str, reasons: tuple[str, ...], report: GateReport | None = None
    ) -> None:
        self.stage = stage
        self.reasons = reasons
        self.report = report
        super().__init__(f"stopped at {stage}: " + "; ".join(reasons))

    def __reduce__(
        self,
    ) -> tuple[type["StageStopped"], tuple[str, tuple[str, ...], GateReport | None]]:
        return type(self), (self.stage, self.reasons, self.report)
