"""SVG elements as escaped text; colours come from the page's style sheet, by class."""

from collections.abc import Iterable

from markupsafe import Markup, escape

from tasks.rendering.text import clean_text

_OURS = frozenset({"points", "d"})
"""Attributes of coordinates, which are written here and hold no text of others."""


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return one element; children that are not markup, and every attribute, are escaped.

    Args:
        name: Of the element.
        *children: Text or markup.
        **attributes: None is left out; a trailing underscore is dropped and others become hyphens,
            so that `class_` and `text_anchor` can be written. Those of `_OURS` are never cut: half
            a path draws another line, or none.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(_name(key), value if key in _OURS else clean_text(_number(value)))
        for key, value in attributes.items()
        if value is not None
    )
    inner = join(children)
    tag = Markup(name)  # noqa: S704 - our own element names, never data
    return (
        Markup("<{0}{1}>{2}</{0}>").format(tag, written, inner)
        if inner
        else Markup("<{}{}/>").format(tag, written)
    )


def join(children: Iterable[object]) -> Markup:
    """Return children one after another; those that are not markup are cleaned and escaped."""
    return Markup("").join(
        child if isinstance(child, Markup) else escape(clean_text(str(child))) for child in children
    )


def draw(
    width: float, height: float, title: str, *children: object, class_: str = "chart"
) -> Markup:
    """Return an image of so many units, with a title that screen readers say."""
    return element(
        "svg",
        element("title", title),
        *children,
        class_=class_,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_label=title,
    )


def text(
    x: float, y: float, content: object, class_: str = "tick", anchor: str = "start"
) -> Markup:
    """Return a line of text; anchor is start, middle or end."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def _name(key: str) -> str:
    stripped = key.rstrip("_")
    camel = {"viewBox"}
    return stripped if stripped in camel else stripped.replace("_", "-")


def _number(value: object) -> str:
    """Return a coordinate with two decimals at most: a page of figures stays small."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
