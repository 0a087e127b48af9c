"""The frame that plots of answers share: its size, its scale, and where a value lies in it."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from tasks.rendering.charts import round_ticks
from tasks.rendering.svg import element, text
from tasks.rendering.text import format_number

WIDTH, HEIGHT = 440.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 26.0, 28.0
FOOT = HEIGHT - 8
INNER = WIDTH - LEFT - RIGHT


def draw_scale(
    low: float, high: float, show: Callable[[float], str] | None = None
) -> Sequence[Markup]:
    """Return lines across the frame at round values, with these.

    Args:
        low: Value at the foot of the frame.
        high: Value at its top.
        show: Writes a value; numbers of three digits by default.
    """
    marks = []
    for value in round_ticks(low, high):
        if not low <= value <= high:
            continue
        y = place(value, low, high)
        marks.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        written = format_number(value, 3) if show is None else show(value)
        marks.append(text(LEFT - 6, y + 4, written, anchor="end"))
    return marks


def place(value: float, low: float, high: float) -> float:
    """Return how far down a value lies."""
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def widen(low: float, high: float) -> tuple[float, float]:
    """Return a range with some room at both ends; one of no width gets some, too."""
    reach = (high - low) or abs(high) or 1.0
    return low - 0.05 * reach, high + 0.05 * reach
