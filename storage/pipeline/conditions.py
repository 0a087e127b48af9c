"""Tells which rows meet a condition; one that could meet nothing is refused, not obeyed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.base.redaction import redact
from storage.base.shown import name_type
from storage.forms.base import RowsSpec
from storage.forms.rules import Condition
from storage.pipeline.keys import find_values, is_label
from storage.shards.row_ids import Rows, is_text

Choices = Sequence[str | float]


def meets_condition(
    rows: Rows, condition: Condition, spec: RowsSpec, columns: Mapping[str, Sequence[str]]
) -> NDArray[np.bool_]:
    """Return which rows meet a condition, shape (N,); a missing value meets none.

    Args:
        rows: The fields.
        condition: Classes may be meant by their names or by their places among the labels.
        spec: The recipe's data section.
        columns: Names of the columns of two-dimensional fields.

    Raises:
        InvalidInput: There is no such field, it holds more than one value a row, or values of
            another type than the condition's.
    """
    values, present = find_values(rows, condition.field, spec, columns)
    kept = present.copy()
    texts = is_text(values)
    for name, limit in (("at_least", condition.at_least), ("at_most", condition.at_most)):
        if limit is not None and texts:
            raise _refuse(condition, name, limit, "be of numbers", "the column holds texts")
    if condition.at_least is not None:
        kept &= values >= condition.at_least
    if condition.at_most is not None:
        kept &= values <= condition.at_most
    for name, given in (("one_of", condition.one_of), ("none_of", condition.none_of)):
        if given is None:
            continue
        choices: Choices = given
        if is_label(condition.field, spec):
            choices = [_place(choice, name, condition, spec) for choice in given]
        found = _is_one_of(values, choices, name, condition)
        kept &= found if name == "one_of" else ~found
    return kept


def _is_one_of(
    values: NDArray[Any], choices: Choices, name: str, condition: Condition
) -> NDArray[np.bool_]:
    texts = is_text(values)
    for choice in choices:
        if isinstance(choice, str) != texts:
            kind, remedy = ("texts", "put it in quotes") if texts else ("numbers", "write a number")
            raise _refuse(condition, name, choice, f"hold {kind}, as the column does", remedy)
    if texts:
        wanted = set(choices)
        return np.array([text in wanted for text in values.tolist()], dtype=np.bool_)
    # As the column holds them: 0.1 of half the digits is not 0.1 of all.
    asked = np.array(choices, dtype=np.float64)
    return np.isin(values, asked.astype(values.dtype) if values.dtype.kind == "f" else asked)


def _place(choice: str | float, name: str, condition: Condition, spec: RowsSpec) -> float:
    """Return the place of a class among the labels."""
    if isinstance(choice, str):
        if choice not in spec.labels:
            rule = "name classes of data.labels"
            raise _refuse(condition, name, choice, rule, f"choose among {', '.join(spec.labels)}")
        return float(spec.labels.index(choice))
    return choice


def _refuse(condition: Condition, name: str, got: object, rule: str, remedy: str) -> InvalidInput:
    return InvalidInput(
        f"filter ({condition.field}, {name}: {redact(str(got))}) must {rule}; got "
        f"{name_type(got)}; {remedy}"
    )
