"""Where a classifier errs: the confusion matrix as a heat map, and what each class adds up to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.rendering.answers import Confusion
from tasks.rendering.svg import draw, element, join, text
from tasks.rendering.text import format_number, format_rate

MAX_CLASSES = 24
_SIDE = 440.0
_MAX_LABEL = 9


@dataclass(frozen=True)
class ClassFigures:
    """One class on the held-out rows.

    Attributes:
        label: Its name.
        rows: Held-out rows of this class.
        recall: Share of its rows that were answered so, 0..1; None without rows.
        precision: Share of these answers that were right, 0..1; None without answers.
    """

    label: str
    rows: int
    recall: float | None
    precision: float | None


def summarize_classes(confusion: Confusion) -> tuple[ClassFigures, ...]:
    """Return the figures of each class, in the order of the labels."""
    answers = [sum(column) for column in zip(*confusion.counts, strict=True)]
    return tuple(
        ClassFigures(
            label=label,
            rows=sum(row),
            recall=row[index] / sum(row) if sum(row) else None,
            precision=row[index] / answers[index] if answers[index] else None,
        )
        for index, (label, row) in enumerate(zip(confusion.labels, confusion.counts, strict=True))
    )


def find_worst(
    classes: Sequence[ClassFigures], most: int = MAX_CLASSES
) -> tuple[ClassFigures, ...]:
    """Return the classes in order if they are few, else those of the lowest recall."""
    if len(classes) <= most:
        return tuple(classes)
    return tuple(
        sorted(classes, key=lambda figures: 1.0 if figures.recall is None else figures.recall)[
            :most
        ]
    )


@dataclass(frozen=True)
class Mistake:
    """Rows of the class `truth`, of which there are `of`, that were answered as `answer`."""

    truth: str
    answer: str
    rows: int
    of: int


def find_mistakes(confusion: Confusion, most: int = 6) -> tuple[Mistake, ...]:
    """Return the commonest wrong answers, the commonest first."""
    wrong = [
        Mistake(confusion.labels[truth], confusion.labels[answer], count, sum(row))
        for truth, row in enumerate(confusion.counts)
        for answer, count in enumerate(row)
        if count and truth != answer
    ]
    return tuple(sorted(wrong, key=lambda mistake: -mistake.rows)[:most])


@dataclass(frozen=True)
class _Grid:
    """Where the cells of a heat map lie: margins and step, in units of the drawing."""

    left: float
    top: float
    step: float
    turned: bool

    @property
    def gap(self) -> float:
        return min(2.0, self.step * 0.08)


def _lay_out(labels: Sequence[str]) -> _Grid:
    """Return a grid that leaves room for names, which turn above columns too narrow for them."""
    longest = max(len(_shorten(label)) for label in labels)
    left = 26 + 7.5 * longest
    step = (_SIDE - left) / len(labels)
    turned = 7.5 * longest > step
    return _Grid(left=left, top=46 + 5.4 * longest if turned else 42.0, step=step, turned=turned)


def _shorten(label: str) -> str:
    return label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…"


def draw_confusion(confusion: Confusion) -> Markup | None:
    """Return the heat map: truth down, answer across; None if the classes are too many.

    Shade is the share of the truth's rows. Right answers lie on the diagonal in the accent's
    colour; wrong ones beside it in the colour of alarm, on a square root scale so that one mistake
    in a hundred is seen.
    """
    size = len(confusion.labels)
    total = sum(map(sum, confusion.counts))
    if not 2 <= size <= MAX_CLASSES or not total:
        return None
    right = sum(row[index] for index, row in enumerate(confusion.counts))
    share = f"{format_number(right)} of {format_number(total)}"
    title = f"Confusion matrix: {share} held-out rows answered correctly"
    grid = _lay_out(confusion.labels)
    cells = [
        _draw_cell(grid, confusion, truth, answer, count / (sum(row) or 1))
        for truth, row in enumerate(confusion.counts)
        for answer, count in enumerate(row)
    ]
    return draw(
        _SIDE,
        grid.top + grid.step * size,
        title,
        text(grid.left, 12, "answered as →"),
        text(0, grid.top - 10, "truth ↓"),
        *(
            _name_class(grid, _shorten(label), index)
            for index, label in enumerate(confusion.labels)
        ),
        *cells,
        class_="chart matrix",
    )


def _name_class(grid: _Grid, label: str, index: int) -> Markup:
    """Return a class's name at its row and above its column."""
    offset = grid.step * (index + 0.5)
    x, y = grid.left + offset, grid.top - 10
    turn = f"rotate(-45 {x:.1f} {y:.1f})" if grid.turned else None
    anchor = "start" if grid.turned else "middle"
    above = element(
        "text", label, x=x - grid.gap / 2, y=y, class_="name", text_anchor=anchor, transform=turn
    )
    return join(
        [text(grid.left - 10, grid.top + offset + 4, label, class_="name", anchor="end"), above]
    )


def _draw_cell(grid: _Grid, confusion: Confusion, truth: int, answer: int, share: float) -> Markup:
    """Return one cell.

    Shades stay out of the middle, where neither dark nor light figures can be read.
    """
    count, side = confusion.counts[truth][answer], grid.step - grid.gap
    x, y = grid.left + grid.step * answer, grid.top + grid.step * truth
    box = {"x": x, "y": y, "width": side, "height": side, "rx": min(3.0, side * 0.1)}
    if not count:
        return element("rect", class_="cell none", **box)
    right = truth == answer
    strong = right and share >= 0.5
    opacity = 0.84 + 0.32 * (share - 0.5) if strong else 0.10 + 0.25 * math.sqrt(share)
    names = f"{confusion.labels[truth]} answered as {confusion.labels[answer]}"
    words = f"{names}: {count} rows, {format_rate(share)}"
    shade = element(
        "rect",
        class_="cell right" if right else "cell wrong",
        fill_opacity=round(opacity, 3),
        **box,
    )
    class_ = "figure on-strong" if strong else "figure"
    figure = text(
        x + side / 2, y + side / 2 + 4, format_number(count), class_=class_, anchor="middle"
    )
    return element("g", element("title", words), shade, figure if grid.step >= 22 else "")
