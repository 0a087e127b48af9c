"""Answers beside the truth as inline SVG: forecasts step by step, answers over truths."""

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from tasks.rendering.answers import Forecast, Scatter
from tasks.rendering.axes import (
    BOTTOM,
    FOOT,
    HEIGHT,
    INNER,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    draw_scale,
    place,
    widen,
)
from tasks.rendering.svg import draw, element, text
from tasks.rendering.text import format_number


def draw_forecast(forecast: Forecast) -> Markup | None:
    """Return the past, then truth, answer, band and baseline; None where nothing is finite."""
    drawn = (*forecast.lines.values(), *forecast.band)
    ahead = [value for line in drawn for value in line if math.isfinite(value)]
    if not ahead:
        return None
    given = len(forecast.past)
    low, high = widen(*_find_range([*ahead, *forecast.past]))
    steps = max(len(line) for line in forecast.lines.values())

    def across(step: int) -> float:
        """Where a step lies; the first that is forecast is number 0."""
        return LEFT + INNER * (step + given) / max(1, steps + given - 1)

    lines = (
        [_draw_line("past", range(-given, 0), forecast.past, across, low, high)] if given else []
    )
    for name, line in forecast.lines.items():
        lines.append(
            _draw_line(_CLASSES.get(name, "baseline"), range(len(line)), line, across, low, high)
        )
    now = across(-1) if given else LEFT
    if len(forecast.band) == 2:
        lines.insert(0, _draw_band(forecast.band, across, low, high))
    title = f"{forecast.title}: {', '.join(forecast.lines)}"
    return draw(
        WIDTH,
        HEIGHT,
        title,
        *draw_scale(low, high),
        element("line", x1=now, x2=now, y1=TOP, y2=HEIGHT - BOTTOM, class_="now"),
        *lines,
        text(LEFT, 14, forecast.title),
        *_name_times(forecast, given, steps, now),
    )


def _name_times(forecast: Forecast, given: int, steps: int, now: float) -> Sequence[Markup]:
    """Return what stands beneath a forecast: when it was, or how many steps there are."""
    end = WIDTH - RIGHT
    if len(forecast.moments) != 3:
        back = [text(LEFT, FOOT, f"{given} steps back")] if given else []
        return (*back, text(end, FOOT, f"{steps} steps ahead", anchor="end"))
    first, last, ahead = forecast.moments
    found = [text(end, FOOT, ahead, anchor="end")]
    short = last[5:] if last[:5] == first[:5] else last  # The year stands at the left.
    half = _CHARACTER * (len(short) + 1) / 2
    if LEFT + _CHARACTER * len(first) < now - half and now + half < end - _CHARACTER * len(ahead):
        found += [text(LEFT, FOOT, first), text(now, FOOT, short, anchor="middle")]
    else:
        found.insert(0, text(LEFT, FOOT, first if given else last))
    return found


def _draw_band(
    band: Sequence[Sequence[float]], across: Callable[[int], float], low: float, high: float
) -> Markup:
    """Return the range between the lowest and the highest quantile."""
    lower, upper = (
        [(step, value) for step, value in enumerate(line) if math.isfinite(value)] for line in band
    )
    points = " ".join(
        f"{across(step):.1f},{place(value, low, high):.1f}"
        for step, value in (*upper, *lower[::-1])
    )
    return element("polygon", points=points, class_="band")


_CHARACTER = 8.0
"""Width of a character beneath a plot, on a narrow screen."""
_CLASSES = {"truth": "truth", "answer": "validation"}


def _find_range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return min(finite), max(finite)


def _draw_line(
    class_: str,
    steps: Iterable[int],
    values: Sequence[float],
    across: Callable[[int], float],
    low: float,
    high: float,
) -> Markup:
    """Return one line; a value that is missing is left out."""
    points = [
        f"{across(step):.1f},{place(value, low, high):.1f}"
        for step, value in zip(steps, values, strict=True)
        if math.isfinite(value)
    ]
    return element("polyline", points=" ".join(points), class_=f"line {class_}")


def draw_scatter(scatter: Scatter) -> Markup | None:
    """Return one dot a row: the truth across, the answer up; on the line they are equal."""
    pairs = [pair for pair in scatter.points if all(map(math.isfinite, pair))]
    if not pairs:
        return None
    low, high = widen(min(min(pair) for pair in pairs), max(max(pair) for pair in pairs))

    def across(value: float) -> float:
        return LEFT + INNER * (value - low) / (high - low)

    dots = [
        element("circle", cx=across(x), cy=place(y, low, high), r=1.6, class_="dot validation")
        for x, y in pairs
    ]
    corner = element(
        "line",
        x1=across(low),
        x2=across(high),
        y1=place(low, low, high),
        y2=place(high, low, high),
        class_="grid",
    )
    return draw(
        WIDTH,
        HEIGHT,
        f"{scatter.title}: {len(pairs)} held-out values, answers over truths",
        *draw_scale(low, high),
        corner,
        *dots,
        text(LEFT, 14, scatter.title),
        text(LEFT, FOOT, format_number(low, 3)),
        text((LEFT + WIDTH - RIGHT) / 2, FOOT, "truth", anchor="middle"),
        text(WIDTH - RIGHT, FOOT, format_number(high, 3), anchor="end"),
    )
