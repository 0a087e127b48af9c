"""A figure over the answers of a fleet as inline SVG, with marks where it was judged, renewed."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from tasks.rendering.base import Part, Text
from tasks.rendering.charts import round_ticks, show_tick
from tasks.rendering.svg import draw, element, join, text
from tasks.rendering.text import format_number, format_rate

_LEFT = 46.0


class Spot(Part):
    """The mean of a figure over answers that follow each other.

    Attributes:
        round_number: Their round; lines are broken between rounds.
        place: Where they lie among all answers.
        value: The mean.
    """

    round_number: int
    place: float
    value: float


class Line(Part):
    """One line of a timeline.

    Attributes:
        name: Whose figure it is.
        look: Its class: "validation" is the main one, "baseline" dashed, "past" faint.
        spots: Its points.
        named: Whether its name stands at its end.
        meaning: What it is, in the key; empty: its name.
    """

    name: Text
    meaning: Text = ""
    look: Text = "validation"
    spots: tuple[Spot, ...] = ()
    named: bool = True


class Span(Part):
    """A round: its name, and the places at which it begins and ends."""

    name: Text
    start: int
    end: int


class Mark(Part):
    """Something that happened between two answers.

    Attributes:
        place: After how many answers.
        words: What stands above the line: what was decided, what was released.
        strong: Whether it changed the model.
        taken: Who took a release there, and when.
    """

    place: int
    words: tuple[Text, ...]
    strong: bool = False
    taken: tuple[Text, ...] = ()


class Timeline(Part):
    """A figure over all answers of a fleet.

    Attributes:
        name: Of the figure.
        rate: Whether it is a rate in 0..1.
        total: Number of answers.
        lines: What is drawn.
        spans: The rounds; a small drawing names none.
        marks: What happened between them.
    """

    name: Text
    rate: bool = True
    total: int
    lines: tuple[Line, ...]
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()

    def show(self, value: float) -> str:
        """Writes a value of the figure."""
        return format_rate(value) if self.rate else format_number(value)


class _Frame:
    """Where places and values lie in a drawing of some size."""

    def __init__(self, timeline: Timeline, width: float, height: float, *, small: bool) -> None:
        self.width, self.height = width, height
        self.right = 12.0 if small else 118.0
        self.top = 12.0 if small else 46.0
        self.bottom = 24.0 if small else 42.0
        values = [spot.value for line in timeline.lines for spot in line.spots]
        high = 1.0 if timeline.rate else max(values, default=1.0)
        low = min([*values, high]) if timeline.rate else min([0.0, *values])
        self.ticks = [tick for tick in round_ticks(low, high) if not timeline.rate or tick <= 1]
        self._total = max(1, timeline.total)

    def across(self, place: float) -> float:
        """Where a place lies."""
        return _LEFT + (self.width - _LEFT - self.right) * place / self._total

    def up(self, value: float) -> float:
        """Where a value lies."""
        low, span = self.ticks[0], (self.ticks[-1] - self.ticks[0]) or 1.0
        return self.top + (self.height - self.top - self.bottom) * (1 - (value - low) / span)

    @property
    def foot(self) -> float:
        """Where the lowest line lies."""
        return self.height - self.bottom


def draw_timeline(timeline: Timeline) -> Markup | None:
    """Return the figure over all answers, rounds named below, marks above; None without a point."""
    if not any(line.spots for line in timeline.lines):
        return None
    frame = _Frame(timeline, 960, 340, small=False)
    return draw(
        frame.width,
        frame.height,
        _entitle(timeline),
        *_draw_grid(timeline, frame),
        *(_draw_mark(mark, frame) for mark in timeline.marks),
        *(_draw_line(line, frame) for line in timeline.lines),
        _name_ends(timeline, frame),
        *(
            text(
                (frame.across(span.start) + frame.across(span.end)) / 2,
                frame.height - 22,
                span.name,
                anchor="middle",
            )
            for span in timeline.spans
        ),
        *(
            text(frame.across(place), frame.height - 4, format_number(place), anchor=anchor)
            for place, anchor in ((0, "start"), (timeline.total, "end"))
        ),
        text(
            (frame.across(0) + frame.across(timeline.total)) / 2,
            frame.height - 4,
            "answers so far",
            anchor="middle",
        ),
        class_="chart timeline",
    )


def draw_small(timeline: Timeline) -> Markup | None:
    """Return the same for one device, small: upright lines where it took releases."""
    if not any(line.spots for line in timeline.lines):
        return None
    frame = _Frame(timeline, 440, 150, small=True)
    lines = [
        _draw_upright(mark, frame, frame.top, element("title", ", ".join(mark.words)))
        for mark in timeline.marks
    ]
    words = [
        text(frame.across(mark.place) + 5, frame.height - 6, mark.words[-1])
        for mark in timeline.marks
        if mark.strong and mark.words
    ]
    return draw(
        frame.width,
        frame.height,
        _entitle(timeline),
        *_draw_grid(timeline, frame),
        *lines,
        *words,
        *(_draw_line(line, frame) for line in timeline.lines),
        class_="chart timeline",
    )


def _entitle(timeline: Timeline) -> str:
    ends = [
        f"{line.name} ends at {timeline.show(line.spots[-1].value)}"
        for line in timeline.lines
        if line.spots and line.named
    ]
    return f"{timeline.name} over {format_number(timeline.total)} answers: {'; '.join(ends)}"


def _draw_grid(timeline: Timeline, frame: _Frame) -> list[Markup]:
    drawn = []
    for tick in frame.ticks:
        y, end = frame.up(tick), frame.width - frame.right
        drawn.append(element("line", x1=_LEFT, x2=end, y1=y, y2=y, class_="grid"))
        drawn.append(text(_LEFT - 8, y + 4, show_tick(tick, rate=timeline.rate), anchor="end"))
    return drawn


def _draw_line(line: Line, frame: _Frame) -> Markup:
    """Return a line, broken between rounds; a round of one point is a dot."""
    parts = []
    for _, group in groupby(line.spots, lambda spot: spot.round_number):
        spots = list(group)
        if len(spots) == 1:
            x, y = frame.across(spots[0].place), frame.up(spots[0].value)
            parts.append(element("circle", cx=x, cy=y, r=3, class_=f"dot {line.look}"))
            continue
        path = " ".join(
            f"{frame.across(spot.place):.1f},{frame.up(spot.value):.1f}" for spot in spots
        )
        parts.append(element("polyline", points=path, class_=f"line {line.look}"))
    return element("g", element("title", line.name), *parts) if parts else Markup("")


def _draw_mark(mark: Mark, frame: _Frame) -> Markup:
    """Return an upright line with words above it, and a triangle for each who took a release."""
    x = frame.across(mark.place)
    inside = min(max(x, _LEFT + 18), frame.width - frame.right - 18)
    words = [
        text(
            inside,
            frame.top - 10 - 15 * (len(mark.words) - 1 - number),
            word,
            class_="tick strong" if mark.strong else "tick",
            anchor="middle",
        )
        for number, word in enumerate(mark.words)
    ]
    first = max(x - 5.0 * (len(mark.taken) - 1), _LEFT + 6)
    triangles = [
        element(
            "path",
            element("title", who),
            d=f"M{first + 10 * number:.1f} {frame.foot - 8:.1f}l4.5 8h-9z",
            class_="taken",
        )
        for number, who in enumerate(mark.taken)
    ]
    return join([_draw_upright(mark, frame, frame.top - 4), *words, *triangles])


def _draw_upright(mark: Mark, frame: _Frame, top: float, *inside: Markup) -> Markup:
    x = frame.across(mark.place)
    look = "renewal" if mark.strong else "judged"
    return element("line", *inside, x1=x, x2=x, y1=top, y2=frame.foot, class_=look)


def _name_ends(timeline: Timeline, frame: _Frame) -> Markup:
    """Return each line's name and last value beside its end, apart from each other."""
    named: Sequence[Line] = [line for line in timeline.lines if line.named and line.spots]
    ends = sorted((frame.up(line.spots[-1].value), place) for place, line in enumerate(named))
    placed: list[Markup] = []
    free = frame.top + 2
    lowest = frame.foot - 38.0 * (len(ends) - 1) - 14
    for y, place in ends:
        line = named[place]
        top = min(max(y, free), lowest)
        left = frame.width - frame.right + 14
        placed.append(text(left, top, line.name, class_=f"name {line.look}"))
        placed.append(
            text(left, top + 16, timeline.show(line.spots[-1].value), class_="tick strong")
        )
        free, lowest = top + 38, lowest + 38
    return join(placed)
