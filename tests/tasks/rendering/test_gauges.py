"""A figure is marked on the scale of its limits."""

import xml.etree.ElementTree as ElementTree

from tasks.rendering import gauges
from tests.tasks.rendering.material import make_check


def test_gauge_puts_the_mark_outside_its_band() -> None:
    red = gauges.draw_gauge(make_check(observed=0.5, limit={"min_value": 0.9}, passed=False))
    assert red is not None
    root = ElementTree.fromstring(red)
    band = next(node for node in root.iter("rect"))
    mark = next(node for node in root.iter("path"))
    assert float((mark.get("d") or "").split()[0][1:]) < float(band.get("x") or 0)
    words = make_check(observed="uint8", limit={"value_set": ["uint8"]})
    assert gauges.draw_gauge(words) is None
