"""One gate's page: what failed first, offending rows, distributions, and its history."""

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup
from pydantic import Field, field_validator

from gates.engine.report import Check, GateReport
from tasks.rendering.base import MAX_PICTURE_BYTES, Part, Text
from tasks.rendering.pictures import is_png
from tasks.rendering.render import make_environment, read_style, write_policy
from tasks.rendering.svg import draw, element, text
from tasks.rendering.text import format_number
from tasks.rendering.verdicts import list_failed, list_noted

_WIDTH, _HEIGHT, _FOOT, _TOP = 440.0, 150.0, 22.0, 8.0
_SPAN = _HEIGHT - _FOOT - _TOP
MAX_BARS = 40


class Distribution(Part):
    """One field in both versions, in the same ranges or categories.

    Attributes:
        name: of the field.
        edges: what each bar stands for: the ends of its range, or a category.
        accepted: share of the rows of the accepted version in each bar, 0 to 1.
        current: the same of the version that was judged.
    """

    name: Text
    edges: tuple[Text, ...]
    accepted: tuple[float, ...]
    current: tuple[float, ...]


class Offender(Part):
    """A row that a failed check names.

    Attributes:
        about: the check's name.
        name: shard, row id and source file.
        picture: PNG of an image; None for other rows.
        values: the column's values around the row, with its own at `place`; empty for images.
        near_duplicate: the row of another split that it is shared with or looks like; None for a
            row by itself.
    """

    about: Text
    name: Text
    picture: bytes | None = Field(default=None, max_length=MAX_PICTURE_BYTES)
    values: tuple[float | None, ...] = ()
    place: int = 0
    near_duplicate: "Offender | None" = None

    @field_validator("picture")
    @classmethod
    def _must_be_png(cls, picture: bytes | None) -> bytes | None:
        if picture is not None and not is_png(picture):
            raise ValueError(
                f"picture must be PNG bytes; got {picture[:8]!r}; make it with encode_picture"
            )
        return picture

    @property
    def plot(self) -> Markup | None:
        """The values around the row as a line, the row itself marked; None without values."""
        return draw_plot(self)


class PastVerdict(Part):
    """What the gate said in an earlier run."""

    run: Text
    created_at: datetime
    passed: bool
    reason: Text = ""


class GatePage(Part):
    """All that is on the page of one gate."""

    run: Text
    recipe: Text
    gate: GateReport
    judged: Text = ""
    accepted: Text = ""
    distributions: tuple[Distribution, ...] = ()
    samples: tuple[Offender, ...] = ()
    history: tuple[PastVerdict, ...] = ()

    @property
    def first(self) -> Check | None:
        """The first check that failed; else the first that warned."""
        return next(iter((*list_failed(self.gate), *list_noted(self.gate))), None)

    @property
    def gates(self) -> tuple[GateReport, ...]:
        """The gate, as the part of the run's page that lists checks takes it."""
        return (self.gate,)


def render_gate_page(page: GatePage) -> str:
    """Return the page as HTML5, self-contained, with no script; every string is escaped."""
    environment = make_environment()
    css = read_style()
    return environment.get_template("gate.html.j2").render(
        page=page,
        unfolded=True,
        css=Markup(css),  # noqa: S704 - our own file
        policy=write_policy(css, ""),
        draw_distribution=draw_distribution,
    )


def draw_distribution(distribution: Distribution) -> Markup:
    """Return bars of the current version under a line of the accepted one."""
    width = _WIDTH / max(1, len(distribution.current))
    most = max((*distribution.accepted, *distribution.current, 1e-9))
    rises = [_SPAN * share / most for share in distribution.current]
    first, last = (
        (distribution.edges[0], distribution.edges[-1]) if distribution.edges else ("", "")
    )
    return draw(
        _WIDTH,
        _HEIGHT,
        f"{distribution.name}: share of rows now, and in the accepted version",
        *(_draw_bar(number, rise, width) for number, rise in enumerate(rises)),
        _draw_steps([_SPAN * share / most for share in distribution.accepted], width),
        text(0, _HEIGHT - 6, first),
        text(_WIDTH, _HEIGHT - 6, last, anchor="end"),
        class_="chart distribution",
    )


def _draw_bar(number: int, rise: float, width: float) -> Markup:
    """Return the bar of one range or category."""
    left, top = number * width + 0.5, _TOP + _SPAN - rise
    return element("rect", x=left, y=top, width=max(0.5, width - 1), height=rise, class_="share")


def _draw_steps(rises: Sequence[float], width: float) -> Markup:
    """Return a line that runs over each range at its height."""
    points = " ".join(
        f"{x:.2f},{_TOP + _SPAN - rise:.2f}"
        for number, rise in enumerate(rises)
        for x in (number * width, (number + 1) * width)
    )
    ink = {"fill": "none", "stroke": "currentColor", "stroke_width": 1.5}
    return element("polyline", points=points, class_="accepted", **ink)


def draw_plot(offender: Offender) -> Markup | None:
    """Return the values around a row; None if there are none."""
    known = [(place, value) for place, value in enumerate(offender.values) if value is not None]
    if len(known) < 2:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    scale = (high - low) or 1.0
    base, width = _HEIGHT - _FOOT, _WIDTH / max(1, len(offender.values) - 1)
    points = " ".join(
        f"{place * width:.2f},{base - (base - _TOP) * (value - low) / scale:.2f}"
        for place, value in known
    )
    mark = next((value for place, value in known if place == offender.place), None)
    spot = (
        element(
            "circle",
            cx=offender.place * width,
            cy=base - (base - _TOP) * (mark - low) / scale,
            r=4,
            class_="share",
        )
        if mark is not None
        else ""
    )
    return draw(
        _WIDTH,
        _HEIGHT,
        f"{offender.about} around {offender.name}",
        element("polyline", points=points, fill="none", stroke="currentColor", stroke_width=1.5),
        spot,
        text(0, _HEIGHT - 6, f"{format_number(low)} to {format_number(high)}"),
    )
