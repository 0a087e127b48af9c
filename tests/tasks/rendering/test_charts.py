"""Curves lie where their values are."""

import xml.etree.ElementTree as ElementTree

import pytest

from storage.base.figures import Figure
from tasks.rendering import charts
from tests.tasks.rendering.material import make_point

ACCURACY = Figure(name="accuracy", value=None)
LOSS = Figure(name="loss", value=None, unit="")


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
