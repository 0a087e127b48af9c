"""A race of networks as pages show it: one row a network, the best first, bars of the figure."""

from pydantic import Field

from storage.base.figures import Figure
from tasks.rendering.base import Part, Text
from tasks.rendering.markdown import escape_markdown
from tasks.rendering.text import format_seconds, name_figure, show_figure


class TrialPart(Part):
    """One network on trial, as its record says."""

    name: Text
    round: int
    figure: Figure | None = None
    steps: int = 0
    cpu_s: float = 0.0
    reason: Text = ""


class RaceRow(Part):
    """One network over all rounds.

    Attributes:
        name: Family and what of it is not a default.
        won: Whether it is the one that is trained.
        shown: Its figure in the last round that it reached.
        share: Of the bar, 0 to 1: 1 for the largest figure of the race.
        note: How long it was on trial, or why it failed.
    """

    name: Text
    won: bool
    shown: Text = ""
    share: float = Field(default=0.0, ge=0, le=1)
    note: Text = ""


class RacePart(Part):
    """A race.

    Attributes:
        winner: Name of the network that is trained.
        budget_s: Processor time that it might cost, in seconds.
        trials: All trials, in the order of the race.
    """

    winner: Text
    budget_s: float
    trials: tuple[TrialPart, ...]

    @property
    def figure(self) -> str:
        """Name of the figure that decides."""
        known = [trial.figure for trial in self.trials if trial.figure is not None]
        return name_figure(known[0].name) if known else "figure"

    @property
    def cpu_s(self) -> float:
        """Processor time of all trials, in seconds."""
        return sum(trial.cpu_s for trial in self.trials)

    @property
    def rows(self) -> tuple[RaceRow, ...]:
        """One row a network: the winner, then the others, who failed last."""
        of: dict[str, list[TrialPart]] = {}
        for trial in self.trials:
            of.setdefault(trial.name, []).append(trial)
        most = max((abs(_value(each[-1])) for each in of.values()), default=0.0)
        ordered = sorted(of.values(), key=lambda each: self._place(each[-1]))
        return tuple(self._describe(each, most) for each in ordered)

    def _place(self, last: TrialPart) -> tuple[bool, bool, int, float]:
        lower = last.figure is not None and last.figure.direction == "lower"
        value = _value(last) if lower else -_value(last)
        return (last.name != self.winner, bool(last.reason), -last.round, value)

    def _describe(self, trials: list[TrialPart], most: float) -> RaceRow:
        last = trials[-1]
        spent = format_seconds(sum(trial.cpu_s for trial in trials))
        steps = f"{last.steps:,} steps" if last.steps else "fitted at once"
        rounds = f"round {last.round}, " if last.steps else ""
        return RaceRow(
            name=last.name,
            won=last.name == self.winner,
            shown=show_figure(last.figure) if last.figure is not None else "",
            share=min(1.0, abs(_value(last)) / most) if most else 0.0,
            note=last.reason or f"{rounds}{steps}, {spent} of one core",
        )


def _value(trial: TrialPart) -> float:
    value = trial.figure.value if trial.figure is not None else None
    return float(value) if value is not None else 0.0


def draw_race_markdown(race: RacePart) -> str:
    """Return the race as a table, the best first."""
    lines = [f"| network | {escape_markdown(race.figure)} | |", "|---|---|---|"]
    for row in race.rows:
        name = f"**{escape_markdown(row.name)}**" if row.won else escape_markdown(row.name)
        lines.append(f"| {name} | {escape_markdown(row.shown)} | {escape_markdown(row.note)} |")
    return "\n".join(lines)
