"""A gate's checks as inline SVG: figures on the scale of their limits, a strip of verdicts."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from gates.engine.report import Check
from tasks.rendering.svg import draw, element
from tasks.rendering.text import is_finite, show_limit, show_observed
from tasks.rendering.verdicts import name_verdict

WIDTH = 120
"""Width of a gauge, in pixels."""


def draw_gauge(check: Check) -> Markup | None:
    """Return an observed number on the scale of its limits; None where they are not numbers."""
    low, high, value = _read_scale(check)
    if value is None or (low is None and high is None) or not check.applicable:
        return None
    known = [number for number in (low, high, value) if number is not None]
    reach = max(known) - min(known) or abs(value) or 1.0
    start, span = min(known) - 0.16 * reach, 1.32 * reach
    if not (is_finite(start) and is_finite(span) and span > 0):
        return None

    def place(number: float) -> float:
        return WIDTH * ((number - start) / span)

    left = 0.0 if low is None else place(low)
    right = float(WIDTH) if high is None else place(high)
    ends = [x for x, at in ((left, low), (right, high)) if at is not None]
    shown = show_observed(check.observed, check.limit)
    return draw(
        WIDTH,
        16,
        f"observed {shown}, allowed {show_limit(check.limit)}",
        element("line", x1=0, x2=WIDTH, y1=8, y2=8, class_="scale"),
        element("rect", x=left, y=5, width=max(2.0, right - left), height=6, class_="allowed"),
        *(element("line", x1=x, x2=x, y1=3, y2=13, class_="end") for x in ends),
        _mark_value(place(value), passed=check.passed),
        class_="gauge",
    )


def _read_scale(check: Check) -> tuple[float | None, float | None, float | None]:
    """Return the lower and the upper limit of a check, and what was observed."""
    if isinstance(check.observed, dict) and "of" in check.observed:
        return None, 0.0, _read_number(check.observed["unexpected"])
    limit = check.limit if isinstance(check.limit, dict) else {}
    low, high = (
        _read_number(limit.get(key, limit.get("value"))) for key in ("min_value", "max_value")
    )
    return low, high, _read_number(check.observed)


def _mark_value(x: float, *, passed: bool) -> Markup:
    """Return the mark of an observation: a disc within its limits, a cross outside."""
    if passed:
        return element("circle", cx=x, cy=8, r=4, class_="seen")
    return element("path", d=f"M{x - 4:.1f} 4l8 8m0-8l-8 8", class_="seen-outside")


def _read_number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and is_finite(value) else None


def draw_strip(checks: Sequence[Check], most: int = 60) -> Markup | None:
    """Return one small mark a check: square passed, cross failed, triangle warns, ring skipped."""
    shown = checks[:most]
    if not shown:
        return None
    counts = Counter(map(name_verdict, checks))
    marks = [
        element(
            "g", element("title", _entitle(check)), _draw_mark(14.0 * index, name_verdict(check))
        )
        for index, check in enumerate(shown)
    ]
    title = ", ".join(f"{count} {word}" for word, count in counts.items())
    width = 14.0 * len(shown) - 4
    return element(
        "svg",
        *marks,
        class_="strip",
        viewBox=f"0 0 {width:g} 10",
        width=width,
        height=10,
        role="img",
        aria_label=title,
    )


def _entitle(check: Check) -> str:
    return f"{check.about}: {name_verdict(check)}"


def _draw_mark(x: float, verdict: str) -> Markup:
    if verdict == "passed":
        return element("rect", x=x, y=0, width=10, height=10, rx=2, class_="mark passed")
    if verdict == "failed":
        return element("path", d=f"M{x + 1:g} 1l8 8m0-8l-8 8", class_="mark failed")
    if verdict in {"warning", "quarantined"}:
        return element("path", d=f"M{x + 5:g} .5l4.8 9h-9.6z", class_="mark warning")
    return element("circle", cx=x + 5, cy=5, r=3.5, class_="mark skipped")
