"""The page's charts as inline SVG: curves over epochs, shares and parts of a whole."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from storage.base.figures import Figure
from storage.records.curve import CurvePoint
from tasks.rendering.svg import draw, element, join, text
from tasks.rendering.text import format_number, format_rate, is_finite, name_figure

Point = tuple[float, float]
Scale = Callable[[float], float]

_WIDTH, _HEIGHT = 440.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 92.0, 14.0, 30.0
_MAX_POINTS = 400
_CAPTIONS = {"error": "mean absolute error"}
_NOT_DRAWN = frozenset({"cpu_s"})


@dataclass(frozen=True)
class Curve:
    """A drawn curve, and what stands above it."""

    caption: str
    drawing: Markup


def draw_curves(points: Sequence[CurvePoint], best_epoch: int | None) -> list[Curve]:
    """Return one chart for each figure that epochs are measured by, in their order."""
    figures = {
        figure.name: figure
        for point in points
        for figure in point.figures
        if figure.name not in _NOT_DRAWN
    }
    drawn = ((name, draw_curve(figure, points, best_epoch)) for name, figure in figures.items())
    return [Curve(_caption(name), drawing) for name, drawing in drawn if drawing is not None]


def draw_curve(
    figure: Figure, points: Sequence[CurvePoint], best_epoch: int | None
) -> Markup | None:
    """Return one figure over epochs, training and validation; None where nothing is finite.

    Rates have a scale up to 1; others a logarithmic one, if they span more than a factor of twenty.
    """
    rate = figure.unit == "1"
    lines = {
        split: [(float(point.epoch), point.find(figure.name, split)) for point in points]
        for split in ("train", "validation")
    }
    show = format_rate if rate else partial(format_number, digits=3)
    return _draw_curve(_caption(figure.name), lines, best_epoch, show, rate=rate)


def _caption(name: str) -> str:
    shown = _CAPTIONS.get(name, name_figure(name))
    return shown[:1].upper() + shown[1:]


def _draw_curve(
    name: str,
    lines: Mapping[str, Sequence[tuple[float, float | None]]],
    best_epoch: int | None,
    show: Callable[[float], str],
    *,
    rate: bool,
) -> Markup | None:
    """Return one line chart: training dashed, validation solid, each named at its end."""
    drawn = {key: _keep_finite(points) for key, points in lines.items()}
    drawn = {key: points for key, points in drawn.items() if points}
    if not drawn:
        return None
    values = [y for points in drawn.values() for _, y in points]
    log = not rate and min(values) > 0 and max(values) / min(values) > 20
    x, epochs = _scale_epochs(drawn)
    y, ticks = _scale_values(values, log=log, rate=rate)
    last = "; ".join(f"{key} ends at {show(points[-1][1])}" for key, points in drawn.items())
    title = f"{name} by epoch{', logarithmic' if log else ''}: {last}"
    axis = [text(x(epoch), _HEIGHT - 8, f"{epoch:.0f}", anchor="middle") for epoch in epochs]
    return draw(
        _WIDTH,
        _HEIGHT,
        title,
        *(_draw_tick(y(tick), show_tick(tick, rate=rate)) for tick in ticks),
        *axis,
        text(_WIDTH - _RIGHT + 14, _HEIGHT - 8, "epoch"),
        _mark_best(best_epoch, drawn, x, y),
        *(_draw_line(key, points, x, y) for key, points in drawn.items()),
        _name_ends(drawn, y, show),
    )


def _draw_tick(y: float, words: str) -> Markup:
    """Return a line across the chart, with its value at the left."""
    line = element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
    return join([line, text(_LEFT - 8, y + 4, words, anchor="end")])


def _keep_finite(points: Sequence[tuple[float, float | None]]) -> list[Point]:
    kept = [(x, float(y)) for x, y in points if y is not None and is_finite(y)]
    step = max(1, math.ceil(len(kept) / _MAX_POINTS))
    return kept if step == 1 else [*kept[:-1:step], kept[-1]]


def _scale_epochs(lines: Mapping[str, Sequence[Point]]) -> tuple[Scale, list[float]]:
    """Return where an epoch lies, and the epochs that are named."""
    epochs = [x for points in lines.values() for x, _ in points]
    first, last = min(epochs), max(epochs)
    span = last - first or 1.0
    width = _WIDTH - _LEFT - _RIGHT
    step = max(1, math.ceil(span / 6))
    named = (
        [first + step * index for index in range(int(span // step) + 1)]
        if last > first
        else [first]
    )
    return lambda epoch: _LEFT + width * (epoch - first) / span, named


def _scale_values(values: Sequence[float], *, log: bool, rate: bool) -> tuple[Scale, list[float]]:
    """Return where a value lies, and the round values that have a line."""
    height = _HEIGHT - _TOP - _BOTTOM
    if log:
        low, high = math.log10(min(values)) - 0.08, math.log10(max(values)) + 0.08
        return lambda value: _TOP + height * (high - math.log10(value)) / (high - low), _log_ticks(
            low, high
        )
    least = min(values) if rate else min(0.0, *values)
    ticks = round_ticks(least, 1.0 if rate else max(values))
    low_value, span = ticks[0], (ticks[-1] - ticks[0]) or 1.0
    return lambda value: _TOP + height * (1 - (value - low_value) / span), ticks


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten between two exponents, with their multiples by 2 and 5 if few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    coarse = [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
    kept = [tick for tick in fine if low <= math.log10(tick) <= high]
    return kept if len(kept) <= 7 else [tick for tick in coarse if low <= math.log10(tick) <= high]


def round_ticks(low: float, high: float) -> list[float]:
    """Return about five round values around low and high (Heckbert, Graphics Gems, 1990)."""
    raw = max(high - low, abs(high) * 1e-3, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def show_tick(tick: float, *, rate: bool) -> str:
    """Return what stands beside a line across the chart."""
    return f"{100 * tick:.4g} %" if rate else format_number(tick, 3)


def _draw_line(name: str, points: Sequence[Point], x: Scale, y: Scale) -> Markup:
    if len(points) == 1:
        return element("circle", cx=x(points[0][0]), cy=y(points[0][1]), r=3, class_=f"dot {name}")
    path = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in points)
    return element("polyline", points=path, class_=f"line {name}")


def _mark_best(
    best: int | None, lines: Mapping[str, Sequence[Point]], x: Scale, y: Scale
) -> Markup:
    """Return a mark on the epoch that was kept."""
    value = dict(lines.get("validation", ())).get(float(best)) if best is not None else None
    if best is None or value is None:
        return Markup("")
    place = x(float(best))
    return join(
        [
            element("line", x1=place, x2=place, y1=y(value), y2=_HEIGHT - _BOTTOM, class_="drop"),
            element("circle", cx=place, cy=y(value), r=4.5, class_="best"),
        ]
    )


def _name_ends(
    lines: Mapping[str, Sequence[Point]], y: Scale, show: Callable[[float], str]
) -> Markup:
    """Return each line's name and last value beside its end, at least two lines apart."""
    ends = sorted((y(points[-1][1]), name, points[-1][1]) for name, points in lines.items())
    placed: list[Markup] = []
    free = _TOP + 2
    lowest = _HEIGHT - _BOTTOM - 38.0 * (len(ends) - 1) - 14
    for place, name, value in ends:
        top = min(max(place, free), lowest)
        placed.append(text(_WIDTH - _RIGHT + 14, top, name, class_=f"name {name}"))
        placed.append(text(_WIDTH - _RIGHT + 14, top + 16, show(value), class_="tick strong"))
        free, lowest = top + 38, lowest + 38
    return join(placed)
