"""One row of the table of forms: what the raw gate does with rows of one form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gates.engine.on_fail import OnFail, Quarantine
from gates.engine.report import GateReport
from gates.specs.raw import RawGate

STAGE = "raw"


@dataclass(frozen=True)
class RawForm:
    """The raw gate of one form of rows.

    Attributes:
        name: of the form, such as `image`.
        limits: what stands in place of a limit that the recipe leaves out (None).
        row_checks: names of the checks of which the bad rows can be told and set aside.
        judge: judges facts of the form by limits without gaps.
    """

    name: str
    limits: Mapping[str, float | None]
    row_checks: tuple[str, ...]
    judge: Callable[[RawGate, Any], GateReport]

    def fill_limits(self, gate: RawGate) -> RawGate:
        """Return the limits with the form's own in place of None."""
        left_out = {name: own for name, own in self.limits.items() if getattr(gate, name) is None}
        return gate.model_copy(update=left_out)

    def list_wrong_quarantines(self, on_fail: Mapping[str, OnFail]) -> list[str]:
        """Return names of checks that are to set rows aside and are about no rows of this form."""
        wanted = [name for name, does in on_fail.items() if isinstance(does, Quarantine)]
        return [name for name in wanted if name not in self.row_checks]
