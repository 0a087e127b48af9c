"""Checks what the data section says of its own columns: what no row could meet is refused."""

from collections.abc import Iterator

from flows.errors import RecipeFault
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TARGET, TIME
from storage.forms.rules import CUTOFFS, Condition
from storage.shards.row_ids import LABEL


def check_data(data: RowsSpec) -> Iterator[RecipeFault]:
    """Yields conditions and splits by columns that are not there, or of another type.

    Args:
        data: A data section that is sound by itself; one that names no columns is left to the rows.
    """
    if not data.columns:
        return
    known = list_columns(data)
    for place, condition in enumerate(data.filter):
        yield from _check_condition(f"data.filter.{place}", condition, data, known)
    yield from _check_split(data, known)


def list_columns(data: RowsSpec) -> dict[str, str]:
    """Return the type of each column, by the names that a recipe may call it."""
    roles = {LABEL: data.label, TARGET: data.target, TIME: data.time_name, SERIES_ID: data.entity}
    types = {LABEL: "class", TARGET: "number", TIME: "time", SERIES_ID: "entity"}
    found: dict[str, str] = {}
    for role, column in roles.items():
        if column is not None:
            found |= {role: types[role], column: types[role]}
    return (
        found
        | dict.fromkeys(data.numbers, "number")
        | dict.fromkeys((*data.texts, *data.metadata), "text")
    )


def _check_condition(
    path: str, condition: Condition, data: RowsSpec, known: dict[str, str]
) -> Iterator[RecipeFault]:
    if condition.field not in known:
        remedy = f"choose among {', '.join(known)}"
        yield RecipeFault(f"{path}.field", condition.field, "be a column of the rows", remedy)
        return
    kind = known[condition.field]
    for name in ("at_least", "at_most"):
        if kind == "text" and (limit := getattr(condition, name)) is not None:
            remedy = "write one_of with the texts, or name the column in data.numbers"
            yield RecipeFault(f"{path}.{name}", str(limit), "be for columns of numbers", remedy)
    for name in ("one_of", "none_of"):
        for choice in getattr(condition, name) or ():
            if fault := _find_mismatch(choice, kind, data):
                yield RecipeFault(f"{path}.{name}", repr(choice), *fault)


def _find_mismatch(choice: str | float, kind: str, data: RowsSpec) -> tuple[str, str] | None:
    """Return rule and remedy where no value of a column could be the one that is named."""
    if kind == "text" and not isinstance(choice, str):
        return "be a text, as the column holds: a number meets none", "put it in quotes"
    if kind == "class" and isinstance(choice, str) and choice not in data.labels:
        return "be a class of data.labels", f"choose among {', '.join(data.labels)}"
    if kind in ("number", "time", "entity") and isinstance(choice, str):
        return "be a number, as the column holds: a text meets none", "write it without quotes"
    return None


def _check_split(data: RowsSpec, known: dict[str, str]) -> Iterator[RecipeFault]:
    split = data.split
    if split.field is not None and split.by != "hash" and split.field not in known:
        remedy = f"choose among {', '.join(known)}"
        yield RecipeFault("data.split.field", split.field, "be a column of the rows", remedy)
        return
    if split.by != "time":
        return
    kind = known.get(split.field or TIME, "time")
    if kind not in ("number", "time"):
        remedy = "name a column of numbers or of the time, or write by: group"
        yield RecipeFault("data.split.field", str(split.field), "be a time or a number", remedy)
    for name in CUTOFFS:
        if kind == "number" and isinstance(moment := getattr(split, name), str):
            remedy = "write a number"
            rule = "be a number, as the column that is split by"
            yield RecipeFault(f"data.split.{name}", repr(moment), rule, remedy)
