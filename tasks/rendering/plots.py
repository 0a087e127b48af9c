"""Answers beside the truth as inline SVG: forecasts step by step, answers over truths."""

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from tasks.rendering.answers import Forecast, Scatter
from tasks.rendering.svg import draw, element, text
from tasks.rendering.text import format_number

_WIDTH, _HEIGHT = 440.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 26.0, 28.0


def draw_forecast(forecast: Forecast) -> Markup | None:
    """Return the past, then truth, answer and baseline; None where nothing is finite."""
    ahead = [value for line in forecast.lines.values() for value in line if math.isfinite(value)]
    if not ahead:
        return None
    given = len(forecast.past)
    low, high = _widen(*_find_range([*ahead, *forecast.past]))
    steps = max(len(line) for line in forecast.lines.values())
    inner = _WIDTH - _LEFT - _RIGHT

    def across(step: int) -> float:
        """Where a step lies; the first that is forecast is number 0."""
        return _LEFT + inner * (step + given) / max(1, steps + given - 1)

    lines = (
        [_draw_line("past", range(-given, 0), forecast.past, across, low, high)] if given else []
    )
    for name, line in forecast.lines.items():
        lines.append(
            _draw_line(_CLASSES.get(name, "baseline"), range(len(line)), line, across, low, high)
        )
    now = across(-1) if given else _LEFT
    title = f"{forecast.title}: {', '.join(forecast.lines)}"
    return draw(
        _WIDTH,
        _HEIGHT,
        title,
        *_draw_scale(low, high),
        element("line", x1=now, x2=now, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="now"),
        *lines,
        text(_LEFT, 14, forecast.title),
        *([text(_LEFT, _HEIGHT - 8, f"{given} steps back")] if given else []),
        text(_WIDTH - _RIGHT, _HEIGHT - 8, f"{steps} steps ahead", anchor="end"),
    )


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
        f"{across(step):.1f},{_place(value, low, high):.1f}"
        for step, value in zip(steps, values, strict=True)
        if math.isfinite(value)
    ]
    return element("polyline", points=" ".join(points), class_=f"line {class_}")


def draw_scatter(scatter: Scatter) -> Markup | None:
    """Return one dot a row: the truth across, the answer up; on the line they are equal."""
    pairs = [pair for pair in scatter.points if all(map(math.isfinite, pair))]
    if not pairs:
        return None
    low, high = _widen(min(min(pair) for pair in pairs), max(max(pair) for pair in pairs))
    inner = _WIDTH - _LEFT - _RIGHT

    def across(value: float) -> float:
        return _LEFT + inner * (value - low) / (high - low)

    dots = [
        element("circle", cx=across(x), cy=_place(y, low, high), r=1.6, class_="dot validation")
        for x, y in pairs
    ]
    corner = element(
        "line",
        x1=across(low),
        x2=across(high),
        y1=_place(low, low, high),
        y2=_place(high, low, high),
        class_="grid",
    )
    return draw(
        _WIDTH,
        _HEIGHT,
        f"{scatter.title}: {len(pairs)} held-out values, answers over truths",
        *_draw_scale(low, high),
        corner,
        *dots,
        text(_LEFT, 14, scatter.title),
        text(_LEFT, _HEIGHT - 8, format_number(low, 3)),
        text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "truth", anchor="middle"),
        text(_WIDTH - _RIGHT, _HEIGHT - 8, format_number(high, 3), anchor="end"),
    )


def _draw_scale(low: float, high: float) -> Sequence[Markup]:
    """Return three lines with their values."""
    marks = []
    for value in (low, (low + high) / 2, high):
        y = _place(value, low, high)
        marks.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        marks.append(text(_LEFT - 6, y + 4, format_number(value, 3), anchor="end"))
    return marks


def _place(value: float, low: float, high: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)


def _widen(low: float, high: float) -> tuple[float, float]:
    reach = (high - low) or abs(high) or 1.0
    return low - 0.05 * reach, high + 0.05 * reach
