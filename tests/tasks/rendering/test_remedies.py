"""A stopped page begins with what to do."""

from tasks.rendering.remedies import list_remedies
from tasks.rendering.render import render_run_page
from tests.tasks.rendering.material import make_check
from tests.tasks.rendering.test_render import Reader, make_stopped

ERROR = "channel (edge) must be of this task; got one of digits; give it another name; or a folder"


def test_a_hint_is_the_remedy_once_for_all_checks_that_have_it() -> None:
    checks = [
        make_check(about=about, passed=False, hint="mend the source", key=f"gates.raw.{about}")
        for about in ("a", "b")
    ]
    (found,) = list_remedies("gate raw", checks, ())
    assert found.text == "Mend the source."
    assert (found.about, found.keys) == (("a", "b"), ("gates.raw.a", "gates.raw.b"))


def test_a_check_without_a_hint_has_its_gates_remedy_and_a_fault_its_own() -> None:
    (found,) = list_remedies("gate model", [make_check(passed=False)], ())
    assert "more rows" in found.text
    (found,) = list_remedies("promote", (), (ERROR, ERROR))
    assert found.text == "Give it another name; or a folder."
    assert list_remedies("promote", (), ("it broke", "")) == ()


def test_the_page_says_it_before_the_checks() -> None:
    text = Reader(render_run_page(make_stopped("gate model"))).text
    assert text.index("Stopped at gate model") < text.index("What to do")
    assert text.index("What to do") < text.index("more rows") < text.index("What stopped it")
