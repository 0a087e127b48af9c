"""The page of a fleet says what was held and what was not, loads nothing, and trusts no string."""

import re

from tasks.rendering.fleet_page import EvidencePart, HeldPart, render_fleet_page
from tests.tasks.rendering.fleet_material import make_decision, make_fleet_page


def test_the_page_says_that_all_held_and_what_was_decided() -> None:
    html = render_fleet_page(make_fleet_page())
    assert "All held" in html
    assert html.count("taken by itself") == 0
    for word in ("turned by 20°", "retrain", "release 3", "94.00 %", "fleet-2", "7:00:00"):
        assert word in html


def test_a_broken_invariant_is_the_first_thing_that_is_said() -> None:
    broken = HeldPart(name="spools are empty at the end", held=False, detail="d1 has 4")
    held = HeldPart(name="other", held=True, detail="")
    html = render_fleet_page(make_fleet_page(invariants=(held, broken)))
    assert "1 of 2 not held" in html
    assert "All held" not in html
    assert html.index("d1 has 4") < html.index(">other<")
    assert '<body class="stopped">' in html


def test_a_retraining_that_a_gate_stopped_is_told_as_such() -> None:
    html = render_fleet_page(make_fleet_page(decisions=(make_decision(1, receipt="ab" * 32),)))
    assert "stopped by a gate" in html


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    nasty = '"><img src=x onerror=alert(1)>'
    html = render_fleet_page(
        make_fleet_page(
            name=nasty,
            about=nasty,
            decisions=(
                make_decision(
                    0, nasty, evidence=(EvidencePart(name=nasty, outcome=nasty, detail=nasty),)
                ),
            ),
            invariants=(HeldPart(name=nasty, held=True, detail=nasty),),
        )
    )
    assert "<img src=x" not in html
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "default-src &#39;none&#39;" in html
