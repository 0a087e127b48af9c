"""The confusion matrix adds up, and its figures can be read in every theme."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import tasks.rendering
from tasks.rendering import matrix
from tasks.rendering.answers import Confusion
from tasks.rendering.costs import price_errors
from tasks.rendering.render import render_run_page
from tests.tasks.rendering.test_render import make_page

CSS = (Path(tasks.rendering.__file__).parent / "run.css").read_text("utf-8")
Colour = tuple[float, ...]


def test_classes_add_up() -> None:
    confusion = Confusion(labels=("a", "b", "c"), counts=((8, 2, 0), (1, 9, 0), (0, 0, 0)))
    a, b, c = matrix.summarize_classes(confusion)
    assert (a.rows, a.recall, a.precision) == (10, 0.8, pytest.approx(8 / 9))
    assert (b.recall, c.recall, c.precision) == (0.9, None, None)
    assert [
        (mistake.truth, mistake.answer, mistake.rows) for mistake in matrix.find_mistakes(confusion)
    ] == [
        ("a", "b", 2),
        ("b", "a", 1),
    ]
    drawing = matrix.draw_confusion(confusion)
    assert drawing is not None
    assert len(list(ElementTree.fromstring(drawing).iter("rect"))) == 9
    assert "17 of 20 held-out rows" in drawing


def test_wrong_answers_come_to_one_sum_beside_that_of_always_the_same_one() -> None:
    confusion = Confusion(labels=("No", "Yes <b>"), counts=((970, 20), (12, 18)))
    costs = price_errors(confusion, 1, 100, 2.5)
    assert (costs.missed, costs.false_alarms) == ((12, 100), (20, 2.5))
    assert (costs.total, costs.plain) == (1250, 990 * 2.5)
    other = price_errors(confusion, 0, 100, 2.5)
    assert (other.total, other.plain) == (20 * 100 + 12 * 2.5, 30 * 2.5)
    page = render_run_page(make_page(confusion=confusion, costs=costs))
    told = " ".join(re.sub("<[^>]+>", "", page).split())
    assert "Wrong answers cost 1,250 in the recipe&#39;s unit: 12 “Yes" in told.replace(
        "'", "&#39;"
    )
    assert "missed at 100, 20 false alarms at 2.50; always the same answer would cost 2,475" in told
    assert "Yes <b>" not in page
    assert "Wrong answers cost" not in render_run_page(make_page(confusion=confusion))


def read_palettes() -> dict[str, dict[str, Colour]]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    palettes = [
        {
            name: read_colour(value)
            for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]+);", block)
        }
        for block in blocks
    ]
    return dict(zip(("light", "dark", "print"), palettes, strict=True))


def read_colour(value: str) -> Colour:
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    return tuple(int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4))


def mix(colour: Colour, ground: Colour, opacity: float) -> Colour:
    return tuple(opacity * a + (1 - opacity) * b for a, b in zip(colour, ground, strict=True))


def measure_contrast(first: Colour, second: Colour) -> float:
    """WCAG 2.2 contrast ratio, 1..21."""
    luminances = []
    for colour in (first, second):
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
        ]
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_has_contrast_aa(theme: str) -> None:
    palette = read_palettes()[theme]
    for ground in ("paper", "raised"):
        for ink in ("ink", "soft", "accent", "alarm", "amber"):
            assert measure_contrast(palette[ink], palette[ground]) >= 4.5, (theme, ink, ground)
    assert measure_contrast(palette["on-accent"], palette["accent"]) >= 4.5
    assert measure_contrast(palette["on-alarm"], palette["alarm"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize("right", [0, 1, 5, 30, 49, 50, 51, 70, 99, 100])
def test_figures_in_the_matrix_can_be_read(theme: str, right: int) -> None:
    palette = read_palettes()[theme]
    confusion = Confusion(labels=("a", "b"), counts=((right, 100 - right), (0, 1)))
    drawing = matrix.draw_confusion(confusion)
    assert drawing is not None
    cells = [
        group
        for group in ElementTree.fromstring(drawing).iter("g")
        if group.find("rect") is not None
    ]
    assert cells
    for cell in cells:
        shade, figure = cell.find("rect"), cell.find("text")
        assert shade is not None
        assert figure is not None
        colour = palette["accent" if "right" in (shade.get("class") or "") else "alarm"]
        ground = mix(colour, palette["paper"], float(shade.get("fill-opacity") or 1))
        ink = palette["on-accent" if "on-strong" in (figure.get("class") or "") else "ink"]
        assert measure_contrast(ink, ground) >= 4.5, (theme, right, shade.attrib)
