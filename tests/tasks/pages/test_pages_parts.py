"""The parts that the page is put together from: figures as words, pictures, charts, contrast,
Markdown.
"""

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import JsonValue

import tasks.rendering
from storage.base.figures import Figure
from storage.records.receipts import DatasetRecord
from tasks.rendering import charts, gauges, markdown, matrix, text
from tasks.rendering.answers import Confusion
from tasks.rendering.pictures import MAX_SIDE, encode_picture
from tests.tasks.pages.material import make_artifact, make_check, make_point, make_report

ACCURACY = Figure(name="accuracy", value=None)
LOSS = Figure(name="loss", value=None, unit="")
CSS = (Path(tasks.rendering.__file__).parent / "run.css").read_text("utf-8")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.format_rate(0.98889), "98.89 %"),
        (text.format_rate(0.999999), "99.99 %"),
        (text.format_rate(1.0), "100.00 %"),
        (text.format_rate(None), "\N{EN DASH}"),
        (text.format_bytes(34_211), "34.2 kB"),
        (text.format_bytes(999), "999 B"),
        (text.format_bytes(999_600), "1 MB"),
        (text.format_seconds(0.42), "420 ms"),
        (text.format_seconds(14.63), "14.6 s"),
        (text.format_seconds(125), "2 min 05 s"),
        (text.format_seconds(3840), "1 h 04 min"),
        (text.format_milliseconds(0.0412), "41.2 µs"),
        (text.format_milliseconds(12.34), "12.3 ms"),
        (text.format_number(1797), "1,797"),
        (text.format_number(-0.0148), "\N{MINUS SIGN}0.0148"),
        (text.format_number(float("nan")), "nan"),
        (text.shorten_digest("ab" * 32), "abababababab…"),
        (text.shorten_digest("sklearn:digits"), "sklearn:digits"),
    ],
)
def test_figures_as_words(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"min_value": 0, "max_value": 16}, "0 to 16"),
        ({"min_value": 0.97}, "at least 0.97"),
        ({"max_value": 0}, "at most 0"),
        ({"min_value": 0, "max_value": 8, "strict_min": True}, "above 0, at most 8"),
        ({"min_value": 0, "max_value": 0}, "exactly 0"),
        ({"value": 539}, "exactly 539"),
        ({"value_set": list(range(10))}, "in 0, 1, … 9"),
        ({"value_set": ["train", "held_out"]}, "in train, held_out"),
        ({}, "none allowed"),
    ],
)
def test_limits_as_words(limit: JsonValue, expected: str) -> None:
    assert text.show_limit(limit) == expected


def test_observations_as_words() -> None:
    assert text.show_observed({"unexpected": 0, "of": 1797}) == "none of 1,797"
    assert (
        text.show_observed({"unexpected": 3, "of": 9, "examples": [10, 11]})
        == "3 of 9, such as 10, 11"
    )
    assert len(text.show_value(["x" * 500] * 500)) <= 160


def test_text_hides_nothing() -> None:
    assert text.clean_text("a\u202eb\x00c\ud800d") == "a\ufffdb\ufffdc\ufffdd"
    assert text.clean_text("line\nline") == "line line"
    assert len(str(text.clean_text("x" * 1_000_000))) == text.MAX_TEXT
    assert text.clean_value({"k\x00": ["\u202e", 3]}) == {"k\ufffd": ["\ufffd", 3]}


def decode(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_picture_maps_the_value_range_onto_black_to_white() -> None:
    grey = decode(encode_picture(np.array([[[0, 8], [16, 99]]]), (0, 16)))
    np.testing.assert_array_equal(grey, [[0, 128], [255, 255]])
    colour = np.zeros((3, 2, 2))
    colour[1] = 1
    np.testing.assert_array_equal(decode(encode_picture(colour, (0, 1)))[0, 0], [0, 255, 0])
    holes = np.array([[np.nan, np.inf], [-np.inf, 0.5]])
    np.testing.assert_array_equal(decode(encode_picture(holes, (0, 1))), [[0, 255], [0, 128]])
    assert decode(encode_picture(np.ones((5, 2, 2)), (0, 1))).shape == (2, 2)


def test_picture_is_reduced_and_never_enlarged() -> None:
    assert decode(encode_picture(np.zeros((1, 300, 100)), (0, 1))).shape == (MAX_SIDE, 27)
    assert decode(encode_picture(np.zeros((1, 8, 8)), (0, 1))).shape == (8, 8)


@pytest.mark.parametrize(
    ("shape", "value_range"), [((8,), (0, 1)), ((1, 0, 8), (0, 1)), ((1, 8, 8), (1, 1))]
)
def test_picture_refuses_what_it_cannot_draw(
    shape: tuple[int, ...], value_range: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match="must be"):
        encode_picture(np.zeros(shape), value_range)


def test_curve_lies_where_its_values_are() -> None:
    curve = [
        make_point(epoch, validation_accuracy=rate)
        for epoch, rate in ((1, 0.5), (2, 0.75), (3, 1.0))
    ]
    drawing = charts.draw_curve(ACCURACY, curve, best_epoch=3)
    assert drawing is not None
    root = ElementTree.fromstring(drawing)
    (line,) = [node for node in root.iter("polyline") if "validation" in (node.get("class") or "")]
    points = [tuple(map(float, pair.split(","))) for pair in (line.get("points") or "").split()]
    (x1, y1), (x2, y2), (x3, y3) = points
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y3
    best = next(node for node in root.iter("circle") if node.get("class") == "best")
    assert float(best.get("cx") or 0) == pytest.approx(x3, abs=0.1)
    assert charts.draw_curve(LOSS, curve, 3) is None


def test_wide_losses_are_logarithmic() -> None:
    wide = charts.draw_curve(
        LOSS, [make_point(1, train_loss=2.0), make_point(2, train_loss=0.002)], None
    )
    near = charts.draw_curve(
        LOSS, [make_point(1, train_loss=2.0), make_point(2, train_loss=1.0)], None
    )
    assert wide is not None
    assert near is not None
    assert "logarithmic" in wide
    assert "logarithmic" not in near


def test_gauge_puts_the_mark_outside_its_band() -> None:
    red = gauges.draw_gauge(make_check(observed=0.5, limit={"min_value": 0.9}, passed=False))
    assert red is not None
    root = ElementTree.fromstring(red)
    band = next(node for node in root.iter("rect"))
    mark = next(node for node in root.iter("path"))
    assert float((mark.get("d") or "").split()[0][1:]) < float(band.get("x") or 0)
    words = make_check(observed="uint8", limit={"value_set": ["uint8"]})
    assert gauges.draw_gauge(words) is None


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


Colour = tuple[float, ...]


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


HOSTILE = "![x](http://e.vil/p.png) <img src=x> | `a` **b** www.e.vil\n# h"


def strip_markup(line: str) -> str:
    """The line without what is escaped: what is left is markup."""
    return re.sub(r"\\.|&#?\w+;", "", line)


def test_markdown_lets_no_string_become_markup() -> None:
    for rendered in (
        markdown.render_gate_markdown(
            make_report(
                make_check(
                    rule=HOSTILE,
                    about=HOSTILE,
                    observed=HOSTILE,
                    limit=HOSTILE,
                    passed=False,
                    message=HOSTILE,
                    rows=(HOSTILE,),
                ),
                stage=HOSTILE,
            )
        ),
        markdown.render_facts_markdown(HOSTILE, (HOSTILE,)),
        markdown.render_candidates_markdown(
            [make_artifact(HOSTILE, note=HOSTILE, chosen_for=(HOSTILE,), sha256=HOSTILE)]
        ),
        markdown.render_dataset_markdown(
            DatasetRecord(name=HOSTILE, number=1, digest=HOSTILE, manifest="", rows={HOSTILE: 3})
        ),
        markdown.render_confusion_markdown(
            Confusion(labels=(HOSTILE, "b"), counts=((1, 0), (0, 1)))
        ),
    ):
        left = strip_markup(rendered)
        assert not set("<>[]`!") & set(left), left
        assert "://" not in rendered
        assert "www.e" not in rendered
        tables = [line for line in left.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in tables}) <= 1, left


def test_gate_markdown_says_what_stopped_the_run() -> None:
    check = make_check(
        rule="expect_column_max_to_be_between",
        about="image max",
        observed=255,
        limit={"min_value": 0, "max_value": 16},
        passed=False,
        message="image max: observed 255",
        rows=("row 417",),
    )
    noted = check.model_copy(
        update={"about": "spread", "severity": "warn", "message": "spread: odd", "rows": ("row 9",)}
    )
    gate = make_report(noted, check)
    rendered = markdown.render_gate_markdown(gate, "s3://mine/reports/r1/gate-raw.html")
    assert rendered.startswith(
        "## Gate raw\n\n**red**: 0 of 2 checks passed\n\nFirst to fail: **image max**\n"
    )
    assert "First warning: **spread**" in rendered
    assert "- spread&#58; odd\n  - row 9\n" in rendered
    assert "drawn: s3&#58;//mine/reports/r1/gate\\-raw\\.html" in rendered
    assert "- image max&#58; observed 255\n  - row 417\n" in rendered
    assert "| image max | column max to be between | 255 | 0 to 16 | ✕ failed |" in rendered


def test_other_markdown() -> None:
    candidate = make_artifact("int8", validation_accuracy=0.97, chosen_for=("edge",))
    assert "97\\.00 % \\(validation\\)" in markdown.render_candidates_markdown([candidate])
    curve = [make_point(epoch, train_loss=1 / epoch) for epoch in range(1, 40)]
    training = markdown.render_training_markdown(curve, best_epoch=3)
    assert training.count("\n| ") == 15
    assert "| 3 \\(kept\\) |" in training
