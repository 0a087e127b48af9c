"""What the rows hold, column by column: types, what is missing, distributions as small pictures."""

from collections.abc import Sequence

from markupsafe import Markup
from pydantic import Field

from tasks.rendering.base import Part, Text
from tasks.rendering.svg import draw, element
from tasks.rendering.text import format_number

_WIDTH, _HEIGHT = 200.0, 44.0
_PARTS = 4
"""Classes that have a colour of their own."""


class ColumnProfile(Part):
    """What some rows hold of one column.

    Attributes:
        name: The column, or the field of rows without columns.
        type: What it is read as.
        missing: Share of the rows without a value.
        values: Least, mean and greatest number, or the commonest texts.
        ends: What the first and the last bar stand for, or every bar of texts.
        bars: By class the share of its rows in each bar; "" for all rows.
    """

    name: Text
    type: Text
    missing: float = 0.0
    values: Text = ""
    ends: tuple[Text, ...] = ()
    bars: dict[Text, tuple[float, ...]] = Field(default_factory=dict)


class DataProfile(Part):
    """What the rows hold.

    Attributes:
        columns: In the order of the recipe.
        classes: Rows of each class.
        seen: Rows that the pictures are of.
        rows: All rows; None where nobody has counted them.
        set_aside: Rows in quarantine, as (row, reason, source); the first of `set_aside_count`.
    """

    columns: tuple[ColumnProfile, ...] = ()
    classes: dict[Text, int] = Field(default_factory=dict)
    seen: int = 0
    rows: int | None = None
    set_aside: tuple[tuple[Text, Text, Text], ...] = ()
    set_aside_count: int = 0

    @property
    def by_class(self) -> tuple[str, ...]:
        """The classes that are drawn apart."""
        return tuple(next((column.bars for column in self.columns if len(column.bars) > 1), ()))


def draw_column(column: ColumnProfile) -> Markup | None:
    """Return a column's distribution: bars of all rows, or a line each for the classes."""
    if not column.bars:
        return None
    most = max((share for bars in column.bars.values() for share in bars), default=0.0) or 1.0
    count = max(map(len, column.bars.values()))
    width = _WIDTH / max(1, count)
    if len(column.bars) == 1:
        (bars,) = column.bars.values()
        drawn = [_draw_bar(place, share / most, width) for place, share in enumerate(bars)]
    else:
        drawn = [
            _draw_steps([share / most for share in bars], width, number % _PARTS)
            for number, bars in enumerate(column.bars.values())
        ]
    title = f"{column.name}: {column.values}"
    return draw(_WIDTH, _HEIGHT, title, *drawn, class_="chart profile")


def _draw_bar(place: int, rise: float, width: float) -> Markup:
    height = _HEIGHT * rise
    return element(
        "rect",
        x=place * width + 0.5,
        y=_HEIGHT - height,
        width=max(0.5, width - 1),
        height=height,
        class_="share",
    )


def _draw_steps(rises: Sequence[float], width: float, part: int) -> Markup:
    points = " ".join(
        f"{x:.1f},{_HEIGHT - (_HEIGHT - 2) * rise:.1f}"
        for place, rise in enumerate(rises)
        for x in (place * width, (place + 1) * width)
    )
    return element("polyline", points=points, class_=f"steps line-{part}")


def show_number(value: float) -> str:
    """Return a number of a column's range."""
    return format_number(value, 4)
