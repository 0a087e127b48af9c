"""The page's charts as inline SVG: curves over epochs, shares and parts of a whole."""

import math
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from tasks.pages.parts.page_data import CurvePoint
from tasks.pages.parts.svg import draw, element, join, text
from tasks.pages.parts.text import format_number, format_rate, is_finite

Point = tuple[float, float]
Scale = Callable[[float], float]

_WIDTH, _HEIGHT = 440.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 92.0, 14.0, 30.0
_MAX_POINTS = 400


def draw_loss(curve: Sequence[CurvePoint], best_epoch: int | None) -> Markup | None:
    """Return the loss over epochs, on a log scale if it spans more than a factor of twenty; None without figures."""
    lines = {
        "train": [(float(point.epoch), point.train_loss) for point in curve],
        "validation": [(float(point.epoch), point.validation_loss) for point in curve],
    }
    return _draw_curve("Loss", lines, best_epoch, _show_loss, rate=False)


def draw_accuracy(curve: Sequence[CurvePoint], best_epoch: int | None) -> Markup | None:
    """Return the accuracy over epochs; None without figures."""
    lines = {
        "train": [(float(point.epoch), point.train_accuracy) for point in curve],
        "validation": [(float(point.epoch), point.validation_accuracy) for point in curve],
    }
    return _draw_curve("Accuracy", lines, best_epoch, format_rate, rate=True)


def draw_error(curve: Sequence[CurvePoint], best_epoch: int | None) -> Markup | None:
    """Return the mean absolute error over epochs; None without figures."""
    lines = {
        "train": [(float(point.epoch), point.train_error) for point in curve],
        "validation": [(float(point.epoch), point.validation_error) for point in curve],
    }
    return _draw_curve("Error", lines, best_epoch, _show_loss, rate=False)


def _show_loss(value: float) -> str:
    return format_number(value, 3)


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
    grid = [
        join(
            [
                element(
                    "line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(tick), y2=y(tick), class_="grid"
                ),
                text(_LEFT - 8, y(tick) + 4, _show_tick(tick, rate=rate), anchor="end"),
            ]
        )
        for tick in ticks
    ]
    axis = [text(x(epoch), _HEIGHT - 8, f"{epoch:.0f}", anchor="middle") for epoch in epochs]
    return draw(
        _WIDTH,
        _HEIGHT,
        title,
        *grid,
        *axis,
        text(_WIDTH - _RIGHT + 14, _HEIGHT - 8, "epoch"),
        _mark_best(best_epoch, drawn, x, y),
        *(_draw_line(key, points, x, y) for key, points in drawn.items()),
        _name_ends(drawn, y, show),
    )


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
    ticks = _round_ticks(least, 1.0 if rate else max(values))
    low_value, span = ticks[0], (ticks[-1] - ticks[0]) or 1.0
    return lambda value: _TOP + height * (1 - (value - low_value) / span), ticks


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten between two exponents, with their double and fivefold if that leaves them few."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    coarse = [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
    kept = [tick for tick in fine if low <= math.log10(tick) <= high]
    return kept if len(kept) <= 7 else [tick for tick in coarse if low <= math.log10(tick) <= high]


def _round_ticks(low: float, high: float) -> list[float]:
    """Return about five round values that hold low and high between them (Heckbert, Graphics Gems, 1990)."""
    raw = max(high - low, abs(high) * 1e-3, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def _show_tick(tick: float, *, rate: bool) -> str:
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
    """Return each line's name and last value beside its end, at least two lines of text apart."""
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


def draw_share(share: float, label: str, class_: str = "bar") -> Markup:
    """Return a bar that fills `share` (0..1) of its track; `label` says it in words."""
    filled = min(1.0, max(0.0, share)) if is_finite(share) else 0.0
    bar = (
        element("rect", x=0, y=0, width=max(1.0, 100 * filled), height=6, class_="fill")
        if filled
        else ""
    )
    track = element("rect", x=0, y=0, width=100, height=6, class_="track")
    return element(
        "svg",
        element("title", label),
        track,
        bar,
        class_=class_,
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def draw_parts(parts: Mapping[str, int]) -> Markup | None:
    """Return counts as one bar cut in proportion, largest tint first; None if there is nothing to cut."""
    total = sum(parts.values())
    if total <= 0:
        return None
    left, pieces = 0.0, []
    for index, (name, count) in enumerate(parts.items()):
        width = 1000 * count / total
        title = element("title", f"{name}: {format_number(count)}")
        pieces.append(
            element(
                "rect",
                title,
                x=left,
                y=0,
                width=max(0.0, width - 3),
                height=14,
                class_=f"part part-{index % 4}",
            )
        )
        left += width
    words = ", ".join(f"{name} {format_number(count)}" for name, count in parts.items())
    return element(
        "svg",
        *pieces,
        class_="parts",
        viewBox="0 0 1000 14",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )
