"""Where answers err, as inline SVG: along the steps ahead, and along the threshold."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from tasks.rendering.answers import PrecisionRecall, StepErrors
from tasks.rendering.axes import FOOT, INNER, LEFT, RIGHT, WIDTH, draw_scale, place
from tasks.rendering.svg import draw, element, text
from tasks.rendering.text import format_number, format_rate

_LINES = ("validation", "baseline")


def draw_step_errors(errors: StepErrors) -> Markup | None:
    """Return the mean absolute error over the steps ahead, of the model and of a baseline."""
    lines = {name: line for name, line in errors.lines.items() if any(map(math.isfinite, line))}
    if not lines:
        return None
    high = 1.05 * max(value for line in lines.values() for value in line if math.isfinite(value))
    high = high or 1.0
    steps = max(map(len, lines.values()))
    title = "MAE by step ahead" + (f", {errors.unit}" if errors.unit else "")
    drawn = [
        _draw_line(
            [
                (LEFT + INNER * step / max(1, steps - 1), place(value, 0.0, high))
                for step, value in enumerate(line)
                if math.isfinite(value)
            ],
            _LINES[min(number, 1)],
        )
        for number, line in enumerate(lines.values())
    ]
    ends = "; ".join(f"{name} ends at {format_number(line[-1], 3)}" for name, line in lines.items())
    return draw(
        WIDTH,
        FOOT + 8,
        f"{title}: {ends}",
        *draw_scale(0.0, high),
        *drawn,
        text(LEFT, 14, title),
        text(LEFT, FOOT, "1 step"),
        text(WIDTH - RIGHT, FOOT, f"{steps} steps ahead", anchor="end"),
    )


def draw_precision_recall(curve: PrecisionRecall) -> Markup:
    """Return precision over recall, the share of positive rows as a line, and the threshold."""
    points = [(LEFT + INNER * recall, place(share, 0.0, 1.0)) for recall, share in curve.points]
    base = place(curve.base, 0.0, 1.0)
    parts = [
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base, class_="line baseline"),
        _draw_line(points, "validation"),
    ]
    if curve.at is not None:
        x, y = LEFT + INNER * curve.at[0], place(curve.at[1], 0.0, 1.0)
        parts.append(element("circle", cx=x, cy=y, r=4.5, class_="best"))
    title = f"Precision over recall of {curve.positive}"
    return draw(
        WIDTH,
        FOOT + 8,
        f"{title}: average precision {format_rate(curve.average_precision)}",
        *draw_scale(0.0, 1.0, lambda share: f"{100 * share:.0f} %"),
        *parts,
        text(LEFT, 14, title),
        text(LEFT, FOOT, "recall 0 %"),
        text(WIDTH - RIGHT, FOOT, "100 %", anchor="end"),
    )


def _draw_line(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    if len(points) == 1:
        return element("circle", cx=points[0][0], cy=points[0][1], r=3, class_=f"dot {class_}")
    written = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=written, class_=f"line {class_}")
