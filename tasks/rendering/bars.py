"""Shares and parts of a whole as bars, in inline SVG."""

from collections.abc import Mapping

from markupsafe import Markup

from tasks.rendering.svg import element
from tasks.rendering.text import format_number, is_finite


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
    """Return counts as one bar cut in proportion, largest tint first; None without any."""
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
