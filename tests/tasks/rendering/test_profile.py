"""Columns are drawn as they were counted, on the run's page and on that of a check."""

import re
from datetime import UTC, datetime

from tasks.rendering.check_page import CheckPage, render_check_page
from tasks.rendering.profile import ColumnProfile, DataProfile, draw_column
from tasks.rendering.render import render_run_page
from tests.tasks.rendering.test_render import Reader, make_page

HEAT = ColumnProfile(
    name="heat <b>", type="number", missing=0.125, values="1 to 4", bars={"": (0.25, 0.5, 0.25)}
)
BY_CLASS = ColumnProfile(
    name="load", type="number", bars={"good": (1.0, 0.0), "bad": (0.0, 1.0)}, ends=("0", "9")
)
PROFILE = DataProfile(
    columns=(HEAT, BY_CLASS),
    classes={"good": 1_250, "bad": 90},
    seen=1_000,
    rows=1_340,
    set_aside=(("0x1", "too hot", "rows.csv:7"),),
    set_aside_count=2,
)


def test_bars_are_as_high_as_their_shares_and_classes_have_a_line_each():
    drawn = draw_column(HEAT)
    assert drawn is not None
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" class="share"', drawn)]
    assert heights[1] == 2 * heights[0] == 2 * heights[2]
    assert "<b>" not in drawn
    lines = re.findall(r'class="steps (line-\d)"', draw_column(BY_CLASS) or "")
    assert lines == ["line-0", "line-1"]
    assert draw_column(ColumnProfile(name="x", type="text")) is None


def test_the_run_page_has_columns_classes_and_what_was_set_aside():
    page = render_run_page(make_page(profile=PROFILE))
    reader = Reader(page)
    assert reader.faults == []
    for words in ("1,000 of 1,340 rows", "12.50 %", "1,250", "rows.csv:7", "too hot", "2 rows set"):
        assert words in reader.text
    assert "Columns" not in Reader(render_run_page(make_page())).text


def test_a_check_begins_with_what_to_mend_or_what_comes_next():
    facts = {
        "recipe": "wine",
        "kind": "tabular-classification",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "profile": PROFILE,
        "estimate": {"time": "about 3 s"},
    }
    sound = Reader(render_check_page(CheckPage(**facts, commands=("lepton run wine.yaml",))))
    assert sound.faults == []
    assert "Sound" in sound.text
    assert "about 3 s" in sound.text
    assert "lepton run wine.yaml" in sound.text
    broken = render_check_page(CheckPage(**facts, faults=("data.labels <i> must name bad",)))
    assert "<i>" not in broken
    text = Reader(broken).text
    assert text.index("1 fault") < text.index("must name bad") < text.index("about 3 s")
