"""What a race of networks hands on: the winner, and every trial that it was found by."""

from typing import Literal

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from storage.base.figures import Figure
from tasks.rendering.race import RacePart, draw_race_markdown
from tasks.rendering.text import show_figure
from tasks.runtime.outcome_base import Outcome, Result


class Trial(Result):
    """One network on trial.

    Attributes:
        name: Family and what of it is not a default.
        round: Of the race, from 1; what is fitted at once races in the first.
        figure: What decides, on validation rows; None where it failed.
        steps: Optimizer steps; 0 for what is fitted at once.
        cpu_s: Processor time in seconds.
        reason: Why it failed, or was not begun; "" where it was judged.
    """

    name: str
    round: int
    figure: Figure | None = None
    steps: int = 0
    cpu_s: float = 0.0
    reason: str = ""


class Chosen(Outcome):
    """The network that is trained.

    Attributes:
        name: Of the winner.
        model: Its head and network.
        train: How it learns.
        trials: All that were begun or refused, in the order of the race.
        budget_s: Processor time that the race might cost, in seconds.
    """

    type: Literal["chosen"] = "chosen"
    name: str
    model: ModelSpec
    train: TrainSpec
    trials: tuple[Trial, ...] = ()
    budget_s: float = 0.0

    @property
    def cpu_s(self) -> float:
        """Processor time of all trials, in seconds."""
        return sum(trial.cpu_s for trial in self.trials)

    @property
    def facts(self) -> tuple[str, ...]:
        """The winner, the figure it won by, and who failed."""
        if not self.trials:
            return (self.name,)
        judged = {trial.name for trial in self.trials if trial.figure is not None}
        lost = {trial.name: trial.reason for trial in self.trials if trial.reason}
        won = [trial.figure for trial in self.trials if trial.name == self.name and trial.figure]
        figure = f", {show_figure(won[-1])} validation" if won else ""
        failed = (f"{len(lost)} out: {', '.join(lost)}",) if lost else ()
        return (f"{self.name}{figure}", f"best of {len(judged)} networks", *failed)

    @property
    def summary(self) -> tuple[str, ...]:
        """The winner."""
        return self.facts[:2]

    @property
    def part(self) -> RacePart | None:
        """The race as pages draw it; None without one."""
        if not self.trials:
            return None
        return RacePart(
            winner=self.name,
            budget_s=self.budget_s,
            trials=tuple(trial.model_dump() for trial in self.trials),
        )

    def render_markdown(self, stage: str, folder: str) -> str:
        """Return the race, the best first."""
        del stage, folder
        return draw_race_markdown(self.part) if self.part else self.name
