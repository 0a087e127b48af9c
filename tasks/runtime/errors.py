"""What can go wrong while a stage runs.

TaskError
|-- ClusterError     the Dask cluster did not start, or was lost
|-- StartError       the weights that training is to start from are not those that the recipe means
`-- StageStopped     the stage's outcome was not proven good: no fault of the program, and never retried
"""

from gates.engine.report import GateReport


class TaskError(Exception):
    """A stage could not be carried out."""


class ClusterError(TaskError):
    """The Dask cluster did not start, or was lost."""


class StartError(TaskError):
    """The weights that training is to start from are not there, not proven, or not those that the recipe means."""


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
