"""The forms of rows that the raw gate knows, by name; a plug-in's module `gates` adds its own."""

from typing import Any

from gates.engine.report import GateReport
from gates.raw import image, series, table
from gates.raw.form import RawForm
from gates.specs.raw import RawGate
from storage.base.registry import Registry

FORMS: Registry[RawForm] = Registry("form of rows", "gates")
for _row in (image.FORM, table.FORM, series.FORM):
    FORMS.register(_row.name, _row)


def judge_raw(form: str, gate: RawGate, facts: Any) -> GateReport:
    """Judge a raw version: are the collected rows what the recipe says they are?

    Args:
        form: of its rows, such as `image`.
        gate: the recipe's limits; the form's own stand in place of None.
        facts: of the class that the form judges: `ImageFacts`, or `ColumnsFacts` of a table or of
            series.

    Raises:
        UnknownName: there is no such form.
    """
    chosen = FORMS.find(form)
    return chosen.judge(chosen.fill_limits(gate), facts)
