"""Artifacts as a chart: how well each answers, over how long it takes for one row."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from storage.base.figures import Figure, find_value
from storage.records.receipts import ArtifactRecord
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
from tasks.rendering.charts import round_ticks
from tasks.rendering.svg import draw, element, text
from tasks.rendering.text import format_milliseconds, name_figure, show_figure

LATENCY = "latency_ms_p50"
SPLITS = ("held_out", "validation")
CHARACTER, LINE, DOT = 7.0, 13.0, 7.0
"""Width of a character and height of a line of what stands beside a dot, and a dot's reach."""
Box = tuple[float, float, float]
"""Where a name begins and ends, and how far down its line is."""


class Spot(NamedTuple):
    """One artifact: where it lies, and whether a channel gets it."""

    name: str
    latency_ms: float
    score: Figure
    chosen: bool


def draw_tradeoffs(candidates: Sequence[ArtifactRecord]) -> list[Markup]:
    """Return a chart of this machine, and of each class of devices whose costs are others."""
    keys = [("", 1)]
    keys += dict.fromkeys(
        (each.name, each.threads)
        for candidate in candidates
        for each in candidate.classes
        if (each.threads, each.slowdown) != (1, 1.0)
    )
    drawn = (draw_tradeoff(candidates, *key) for key in keys)
    return [chart for chart in drawn if chart is not None]


def draw_tradeoff(
    candidates: Sequence[ArtifactRecord], name: str = "", threads: int = 1
) -> Markup | None:
    """Return the chart of one class of devices; None where fewer than two artifacts have both.

    Args:
        candidates: The artifacts.
        name: Of the class; "" for this machine.
        threads: That it computes in.
    """
    spots = _list_spots(candidates, name, threads)
    if not spots:
        return None
    scores = [spot.score.value or 0.0 for spot in spots]
    low, high = widen(min(scores), max(scores))
    end = round_ticks(0, max(spot.latency_ms for spot in spots))[-1]
    end = max(end, 1.05 * max(spot.latency_ms for spot in spots))

    def across(latency_ms: float) -> float:
        return LEFT + INNER * latency_ms / end

    figure = spots[0].score
    shown = name_figure(figure.name)
    where = f"on {name}" if name else "on this machine"
    title = f"{shown[:1].upper()}{shown[1:]} over latency {where}"
    title += f", {threads} threads" if threads > 1 else ""
    places = [
        (across(spot.latency_ms), place(spot.score.value or 0.0, low, high)) for spot in spots
    ]
    dots = [
        element("circle", cx=x, cy=y, r=5.0 if spot.chosen else 3.5, class_=_name_class(spot))
        for spot, (x, y) in zip(spots, places, strict=True)
    ]
    return draw(
        WIDTH,
        HEIGHT,
        f"{title}: {', '.join(_describe(spot) for spot in spots)}",
        *draw_scale(
            low, high, lambda value: show_figure(figure.model_copy(update={"value": value}))
        ),
        *dots,
        *_name_spots([spot.name for spot in spots], places),
        text(LEFT, 14, title),
        text(LEFT, FOOT, "0"),
        text((LEFT + WIDTH - RIGHT) / 2, FOOT, "median time of one row", anchor="middle"),
        text(WIDTH - RIGHT, FOOT, format_milliseconds(end), anchor="end"),
    )


def _list_spots(candidates: Sequence[ArtifactRecord], name: str, threads: int) -> list[Spot]:
    """Return where artifacts lie, by the rows of one split: held-out ones if two answered them."""
    for split in SPLITS:
        found = [_find_spot(each, name, threads, split) for each in candidates]
        spots = [spot for spot in found if spot is not None]
        if len(spots) > 1:
            return spots
    return []


def _find_spot(candidate: ArtifactRecord, name: str, threads: int, split: str) -> Spot | None:
    """Return where an artifact lies; None where it has no score or no latency there."""
    latency_ms = candidate.find(LATENCY)
    if (name, threads) != ("", 1):
        cost = candidate.find_class(name, threads)
        latency_ms = None if cost is None else find_value(cost.figures, LATENCY)
    score = candidate.find_score(split)
    if latency_ms is None or score is None or score.value is None:
        return None
    return Spot(candidate.name, latency_ms, score, bool(candidate.chosen_for))


def _name_class(spot: Spot) -> str:
    return f"dot {'validation' if spot.chosen else 'train'}"


def _describe(spot: Spot) -> str:
    return f"{spot.name} {show_figure(spot.score)} in {format_milliseconds(spot.latency_ms)}"


def _name_spots(names: Sequence[str], places: Sequence[tuple[float, float]]) -> list[Markup]:
    """Return the names beside the dots, each moved until it covers neither a name nor a dot."""
    taken = [(x - DOT, x + DOT, y + 4) for x, y in places]
    written = []
    for name, (x, y) in sorted(zip(names, places, strict=True), key=lambda pair: pair[1][1]):
        box, anchor = _find_free(x, y + 4, CHARACTER * len(name), taken)
        taken.append(box)
        written.append(text(box[0] if anchor == "start" else box[1], box[2], name, anchor=anchor))
    return written


def _find_free(x: float, y: float, width: float, taken: Sequence[Box]) -> tuple[Box, str]:
    """Return the nearest place right or left of a dot at which nothing is in the way."""
    right, left = (x + DOT + 2, x + DOT + 2 + width), (x - DOT - 2 - width, x - DOT - 2)
    for step in (sign * step * LINE for step in range(12) for sign in (1, -1)):
        for (start, end), anchor in ((right, "start"), (left, "end")):
            fits = start >= LEFT and end <= WIDTH - RIGHT and TOP - 4 <= y + step <= HEIGHT - BOTTOM
            free = all(
                end <= other[0] or start >= other[1] or abs(y + step - other[2]) >= LINE
                for other in taken
            )
            if fits and free:
                return (start, end, y + step), anchor
    return (*right, y), "start"
