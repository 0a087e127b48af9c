"""Where a classifier errs: the confusion matrix as a heat map, and what each class adds up to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.pages.model import Confusion
from tasks.pages.svg import draw, element, join, text
from tasks.pages.text import format_number, format_rate

MAX_CLASSES = 24
_SIDE = 440.0
_EDGE = 64.0
_MAX_LABEL = 9


@dataclass(frozen=True)
class ClassFigures:
    """One class on the held-out rows.

    Attributes:
        label: Its name.
        rows: Held-out rows of this class.
        recall: Share of its rows that were answered so, 0..1; None without rows.
        precision: Share of these answers that were right, 0..1; None without answers.
        mistaken_for: The commonest wrong answers to its rows, with counts, at most two.
    """

    label: str
    rows: int
    recall: float | None
    precision: float | None
    mistaken_for: tuple[tuple[str, int], ...]


def summarize_classes(confusion: Confusion) -> tuple[ClassFigures, ...]:
    """Return the figures of each class, in the order of the labels."""
    answers = [sum(column) for column in zip(*confusion.counts, strict=True)]
    return tuple(
        ClassFigures(
            label=label,
            rows=sum(row),
            recall=row[index] / sum(row) if sum(row) else None,
            precision=row[index] / answers[index] if answers[index] else None,
            mistaken_for=_find_mistakes(confusion, index),
        )
        for index, (label, row) in enumerate(zip(confusion.labels, confusion.counts, strict=True))
    )


def find_worst(classes: Sequence[ClassFigures], most: int = MAX_CLASSES) -> tuple[ClassFigures, ...]:
    """Return the classes in order if they are few, else those of the lowest recall."""
    if len(classes) <= most:
        return tuple(classes)
    return tuple(sorted(classes, key=lambda figures: 1.0 if figures.recall is None else figures.recall)[:most])


def _find_mistakes(confusion: Confusion, truth: int) -> tuple[tuple[str, int], ...]:
    wrong = [
        (confusion.labels[index], count)
        for index, count in enumerate(confusion.counts[truth])
        if index != truth and count
    ]
    return tuple(sorted(wrong, key=lambda pair: -pair[1])[:2])


def draw_confusion(confusion: Confusion) -> Markup | None:
    """Return the heat map: truth down, answer across, rows counted in the cells; None if the classes are too many.

    Shade is the share of the truth's rows. Right answers lie on the diagonal in the accent's colour; wrong ones beside
    it in the colour of alarm, on a square root scale so that one mistake in a hundred is seen.
    """
    size = len(confusion.labels)
    total = sum(map(sum, confusion.counts))
    if not 2 <= size <= MAX_CLASSES or not total:
        return None
    right = sum(row[index] for index, row in enumerate(confusion.counts))
    title = f"Confusion matrix: {format_number(right)} of {format_number(total)} held-out rows answered correctly"
    step = (_SIDE - _EDGE) / size
    names = [join(_name_class(label, index, step)) for index, label in enumerate(confusion.labels)]
    cells = [
        _draw_cell(truth, answer, count / (sum(row) or 1), count, step, confusion)
        for truth, row in enumerate(confusion.counts)
        for answer, count in enumerate(row)
    ]
    return draw(
        _SIDE,
        _SIDE,
        title,
        text(_EDGE, 14, "answer →", class_="tick"),
        text(4, _EDGE - 10, "truth ↓", class_="tick"),
        *names,
        *cells,
        class_="chart matrix",
    )


def _name_class(label: str, index: int, step: float) -> list[Markup]:
    """Return a class's name at its row and at its column; names turn where columns are narrow."""
    shown = label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…"
    middle = _EDGE + step * (index + 0.5)
    row = text(_EDGE - 10, middle + 4, shown, class_="name", anchor="end")
    if len(shown) * 7 < step:
        return [row, text(middle, _EDGE - 10, shown, class_="name", anchor="middle")]
    turned = f"rotate(-45 {middle:.1f} {_EDGE - 8:.1f})"
    return [row, element("text", shown, x=middle, y=_EDGE - 8, class_="name", transform=turned)]


def _draw_cell(truth: int, answer: int, share: float, count: int, step: float, confusion: Confusion) -> Markup:
    """Return one cell. Shades stay out of the middle, where neither dark nor light figures can be read."""
    x, y, gap = _EDGE + step * answer, _EDGE + step * truth, min(2.0, step * 0.08)
    box = {"x": x, "y": y, "width": step - gap, "height": step - gap, "rx": min(3.0, step * 0.1)}
    if not count:
        return element("rect", class_="cell none", **box)
    right = truth == answer
    strong = right and share >= 0.5
    opacity = 0.82 + 0.36 * (share - 0.5) if strong else 0.10 + 0.25 * math.sqrt(share)
    words = f"{confusion.labels[truth]} answered as {confusion.labels[answer]}: {count} rows, {format_rate(share)}"
    figure = text(
        x + (step - gap) / 2,
        y + (step - gap) / 2 + 4,
        format_number(count),
        class_="figure on-strong" if strong else "figure",
        anchor="middle",
    )
    shade = element("rect", class_="cell right" if right else "cell wrong", fill_opacity=round(opacity, 3), **box)
    return element("g", element("title", words), shade, figure if step >= 22 else "")
