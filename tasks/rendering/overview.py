"""One overview of a workspace: its runs, models and channels, and how its gates decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from markupsafe import Markup
from pydantic import Field

from storage.base.figures import Figure
from tasks.rendering.base import Part, Text
from tasks.rendering.render import make_environment, read_script, read_style, write_policy
from tasks.rendering.svg import draw, element
from tasks.rendering.text import is_finite, name_figure, show_figure

State = Literal["promoted", "stopped", "lost", "at work"]
MOST_RUNS, MOST_DRAWN = 200, 40
_WIDTH, _HEIGHT = 240.0, 44.0


class RunLine(Part):
    """One run of a workspace.

    Attributes:
        run: Its id.
        recipe: Name of the recipe; empty where nobody wrote it down yet.
        kind: What was learned from what, such as "forecasting".
        state: "lost" ended early and can go on; "at work" has not ended.
        at: When it ended, or began if it has not; UTC.
        took_s: Wall time of its stages in seconds.
        note: Where it stopped and why, or how it goes on.
        headline: The figure on held-out rows that it is judged by; None before it has one.
        gates: For each gate that judged its name, and whether it was green.
        model_id: None before there is a model.
        channels: For each channel that got it the artifact.
        page: Address of its page; empty before it has one.
        link: The same from the overview's folder.
    """

    run: Text
    recipe: Text = ""
    kind: Text = ""
    state: State
    at: datetime
    took_s: float | None = None
    note: Text = ""
    headline: Figure | None = None
    gates: tuple[tuple[Text, bool], ...] = ()
    model_id: Text | None = None
    channels: dict[Text, Text] = Field(default_factory=dict)
    page: Text = ""
    link: Text = ""

    @property
    def figure(self) -> str:
        """The headline figure in words; empty without one."""
        if self.headline is None or self.headline.value is None:
            return ""
        return f"{name_figure(self.headline.name)} {show_figure(self.headline, 3)}"

    def find(self, name: str) -> float | None:
        """Return the headline figure if it has that name and a value that can be drawn."""
        if self.headline is None or self.headline.name != name:
            return None
        return self.headline.value if is_finite(self.headline.value) else None


class ChannelLine(Part):
    """What a channel carries now; `fault` says why that cannot be read."""

    name: Text
    release: int | None = None
    artifact: Text = ""
    size_bytes: int | None = None
    model_id: Text = ""
    at: datetime | None = None
    run: RunLine | None = None
    fault: Text = ""


class Overview(Part):
    """All that is on the overview of a workspace; runs are listed newest first."""

    workspace: Text
    at: datetime
    runs: tuple[RunLine, ...] = ()
    channels: tuple[ChannelLine, ...] = ()

    @property
    def models(self) -> tuple[RunLine, ...]:
        """The promoted runs: each made a model."""
        return tuple(run for run in self.runs if run.state == "promoted")

    def count(self, state: State) -> int:
        """Count the runs in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def recipes(self) -> dict[str, tuple[RunLine, ...]]:
        """The runs that a gate judged, by recipe, oldest first."""
        found: dict[str, list[RunLine]] = {}
        for run in reversed(self.runs):
            if run.gates:
                found.setdefault(run.recipe, []).append(run)
        return {name: tuple(runs[-MOST_DRAWN:]) for name, runs in sorted(found.items())}


def render_overview(page: Overview) -> str:
    """Return the page as HTML5, UTF-8, self-contained; its links are to pages beside it."""
    css, script = read_style(), read_script()
    return (
        make_environment()
        .get_template("overview.html.j2")
        .render(
            page=page,
            most=MOST_RUNS,
            draw_history=draw_history,
            list_stages=list_stages,
            css=Markup(css),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            policy=write_policy(css, script),
        )
    )


def list_stages(runs: Sequence[RunLine]) -> list[tuple[str, list[bool | None]]]:
    """Return for each gate what it said of each run; None where it did not judge."""
    names = list(dict.fromkeys(name for run in runs for name, _ in run.gates))
    return [(name, [dict(run.gates).get(name) for run in runs]) for name in names]


def draw_history(runs: Sequence[RunLine]) -> Markup | None:
    """Return the headline figure over runs: full dots were promoted; None with fewer than two."""
    name = next((run.headline.name for run in reversed(runs) if run.headline is not None), "")
    known = [
        (place, value, run.state == "promoted", run.figure)
        for place, run in enumerate(runs)
        if (value := run.find(name)) is not None
    ]
    if len(known) < 2:
        return None
    low, high = min(value for _, value, *_ in known), max(value for _, value, *_ in known)
    span = (high - low) or 1.0
    points = [
        (8 + (_WIDTH - 16) * place / max(1, len(runs) - 1), 6 + 32 * (high - value) / span)
        for place, value, *_ in known
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [
        element("circle", cx=x, cy=y, r=3.5, class_="dot validation" if promoted else "best")
        for (x, y), (_, _, promoted, _) in zip(points, known, strict=True)
    ]
    title = f"{known[0][3]} in the first of {len(runs)} runs, {known[-1][3]} in the last"
    polyline = element("polyline", points=line, class_="line baseline")
    return draw(_WIDTH, _HEIGHT, title, polyline, *dots, class_="chart history")
