"""Tells how each stock expectation is answered over shards: exactly, on whole columns, or not."""

from dataclasses import dataclass

from gates.catalogue.examples import EXAMPLES, make_example, split_example
from gates.engine.routes import Route, find_route
from gates.engine.suite import Expectation
from gates.errors import UnmergeableError


@dataclass(frozen=True)
class Entry:
    """How one stock expectation is answered.

    Attributes:
        rule: its type.
        kind: `exact`, `column` or `refused`.
        reason: why it is refused, or which metrics need whole columns; empty if it is exact.
    """

    rule: str
    kind: str
    reason: str


def list_entries() -> list[Entry]:
    """Return one entry for each expectation that Great Expectations registers, by name."""
    from gates.engine.runner import list_rules  # Great Expectations takes seconds to import

    return [describe_rule(rule) for rule in list_rules()]


def describe_rule(rule: str) -> Entry:
    """Work out how an expectation is answered from the metrics that its example asks for."""
    from gates.engine.runner import list_metrics, run_expectations

    if rule not in EXAMPLES:
        return Entry(rule, "refused", "unknown to this version of Lepton")
    try:
        metrics = list_metrics(rule, EXAMPLES[rule], make_example())
    except Exception as error:  # noqa: BLE001 - whatever is raised, it does not run on tables
        reason = f"not offered on tables by Great Expectations: {str(error).splitlines()[0]}"
        return Entry(rule, "refused", reason)
    item = Expectation(rule=rule, table="example", about=rule, kwargs=dict(EXAMPLES[rule]))
    if fault := run_expectations({0: item}, split_example())[0].error:
        return Entry(rule, "refused", fault)
    whole: list[str] = []
    for metric in metrics:
        try:
            route = find_route(metric)
        except UnmergeableError as error:
            return Entry(rule, "refused", str(error))
        if route is Route.COLUMN:
            whole.append(metric)
    return Entry(rule, "column" if whole else "exact", ", ".join(f"`{metric}`" for metric in whole))
