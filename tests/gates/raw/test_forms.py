import pytest

from gates.engine.on_fail import Quarantine, SetAside
from gates.raw.forms import FORMS, judge_raw
from gates.specs.raw import RawGate
from storage.base.registry import UnknownName

ASIDE = Quarantine(quarantine=SetAside(max_fraction=0.01))


@pytest.mark.parametrize(
    ("form", "missing", "commonest"), [("image", 0, 5), ("table", 0.2, None), ("series", 0.2, None)]
)
def test_a_form_has_its_own_limits_where_the_recipe_leaves_them_out(form, missing, commonest):
    filled = FORMS.find(form).fill_limits(RawGate())
    assert (filled.max_missing_fraction, filled.max_class_balance) == (missing, commonest)
    stated = FORMS.find(form).fill_limits(RawGate(max_missing_fraction=0.3))
    assert stated.max_missing_fraction == 0.3


def test_only_checks_that_are_about_rows_of_the_form_set_rows_aside():
    on_fail = {"row count": ASIDE, "image.*": ASIDE, "image.max": ASIDE, "class share": "warn"}
    assert FORMS.find("image").list_wrong_quarantines(on_fail) == ["row count", "image.*"]
    assert "image.max" in FORMS.find("table").list_wrong_quarantines(on_fail)
    late = {"rows out of order in time, fraction": ASIDE}
    assert FORMS.find("series").list_wrong_quarantines(late) == []
    assert FORMS.find("table").list_wrong_quarantines(late) == list(late)


def test_an_unknown_form_names_those_that_there_are():
    with pytest.raises(UnknownName, match="image, table, series"):
        judge_raw("poem", RawGate(), None)
