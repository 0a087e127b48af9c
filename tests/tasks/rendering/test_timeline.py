"""A timeline's points lie where their answers do, lines break between rounds, marks are told."""

import xml.etree.ElementTree as ElementTree

import pytest

from tasks.rendering.timeline import Line, Mark, Spot, draw_small, draw_timeline
from tests.tasks.rendering.fleet_material import EACH, make_timeline


def _parse(drawing: object) -> ElementTree.Element:
    assert drawing is not None
    return ElementTree.fromstring(str(drawing))


def _points(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (line.get("points") or "").split()
    return [tuple(map(float, pair.split(","))) for pair in pairs]  # type: ignore[misc]


def test_lines_break_between_rounds_and_lie_where_their_answers_do() -> None:
    spots = tuple(
        Spot(round_number=place // 2, place=place * 10.0, value=0.5 + place / 10)
        for place in range(4)
    )
    root = _parse(draw_timeline(make_timeline(total=30, lines=(Line(name="a", spots=spots),))))
    lines = [_points(node) for node in root.iter("polyline")]
    assert [len(line) for line in lines] == [2, 2]
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    assert xs[1] - xs[0] == pytest.approx(xs[3] - xs[2], abs=0.2)
    assert ys == sorted(ys, reverse=True)


def test_a_round_of_one_point_is_a_dot_and_no_point_is_no_picture() -> None:
    one = Line(name="a", spots=(Spot(round_number=0, place=1, value=0.5),))
    root = _parse(draw_timeline(make_timeline(lines=(one,))))
    assert [node.get("class") for node in root.iter("circle")] == ["dot validation"]
    empty = make_timeline(lines=(Line(name="a"),))
    assert draw_timeline(empty) is None
    assert draw_small(empty) is None


def test_marks_tell_what_was_decided_and_who_took_a_release() -> None:
    drawing = str(draw_timeline(make_timeline()))
    root = _parse(drawing)
    words = [node.text for node in root.iter("text")]
    assert {"nothing", "retrain", "release 2", "release 3", "turned by 20°"} <= set(words)
    taken = [node for node in root.iter("path") if node.get("class") == "taken"]
    assert len(taken) == 9
    assert taken[0][0].text == "fleet-1 at 07:01:12"
    classes = [node.get("class") for node in root.iter("line")]
    assert classes.count("renewal") == 3
    assert classes.count("judged") == 1


def test_an_error_has_a_scale_from_nought_and_a_rate_one_to_all() -> None:
    spots = (Spot(round_number=0, place=1, value=7.0), Spot(round_number=0, place=2, value=42.0))
    errors = _parse(draw_timeline(make_timeline(rate=False, lines=(Line(name="a", spots=spots),))))
    ticks = [node.text for node in errors.iter("text") if node.get("text-anchor") == "end"]
    assert "0" in ticks
    rates = _parse(draw_timeline(make_timeline()))
    shown = [node.text or "" for node in rates.iter("text") if node.get("text-anchor") == "end"]
    highest = max(float(text.split()[0]) for text in shown if text.endswith("%"))
    assert highest == 100


def test_small_ones_show_releases_only() -> None:
    root = _parse(draw_small(make_timeline()))
    words = [node.text for node in root.iter("text")]
    assert "release 2" in words
    assert "nothing" not in words


def test_every_word_is_escaped() -> None:
    nasty = "<script>alert(1)</script>\u202e"
    mark = Mark(place=EACH, words=(nasty,), strong=True, taken=(nasty,))
    line = Line(name=nasty, spots=(Spot(round_number=0, place=1, value=0.5),))
    timeline = make_timeline(name=nasty, lines=(line,), marks=(mark,))
    for drawing in (draw_timeline(timeline), draw_small(timeline)):
        assert "<script>" not in str(drawing)
        assert "\u202e" not in str(drawing)
