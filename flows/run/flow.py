"""Defines what a flow declares: its stages in order, and the gates that publishing requires."""

from dataclasses import dataclass
from typing import Any

from prefect import Task

PREFIX = "gate "


@dataclass(frozen=True)
class Flow:
    """Declares a flow; its runs, their journals and their receipts go by it.

    Attributes:
        name: Name of the flow, as Prefect and receipts have it.
        stages: Its stages, in the order in which they are carried out.
        required_gates: Gates that must be green before anything is published, such as "raw".
    """

    name: str
    stages: tuple[Task[..., Any], ...]
    required_gates: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks that each required gate is a stage.

        Raises:
            ValueError: One is not.
        """
        absent = [gate for gate in self.required_gates if PREFIX + gate not in self.names]
        if absent:
            raise ValueError(
                f"required_gates ({', '.join(absent)}) of {self.name} must be stages of it; got "
                f"{', '.join(self.names)}; add them to its stages"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stages, in order."""
        return tuple(stage.name for stage in self.stages)

    def require_next(self, name: str, done: tuple[str, ...]) -> None:
        """Checks that a stage may be carried out now.

        Args:
            name: Name of the stage.
            done: Names of the stages before it.

        Raises:
            RuntimeError: The flow does not declare it there.
        """
        if self.names[: len(done) + 1] != (*done, name):
            raise RuntimeError(
                f"stage ({name}) of {self.name} must come as declared; got it after "
                f"{', '.join(done) or 'none'}; declared: {', '.join(self.names)}"
            )
