"""Measures answers slice by slice: each class, and each value of each metadata column."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gates.engine.tables import Table
from gates.model.paired import divide_errors

if TYPE_CHECKING:
    import numpy as np


def tabulate_accuracies(
    predictions: Table, labels: Sequence[str], columns: Sequence[str], min_rows: int
) -> Table:
    """Return one row a slice: slice, rows, accuracy.

    Args:
        predictions: one row a held-out row, with `label`, `correct` and the columns.
        labels: names of the declared classes, each of which is a slice.
        columns: metadata columns.
        min_rows: fewest rows of a slice that is kept.
    """
    import pandas as pd

    records: list[dict[str, object]] = []
    for column in ("label", *columns):
        for value, group in predictions.frame.groupby(column)["correct"]:
            if len(group) >= min_rows:
                name = _name_class(value, labels) if column == "label" else f"{column} {value}"
                records.append({"slice": name, "rows": len(group), "accuracy": float(group.mean())})
    frame = pd.DataFrame.from_records(records, columns=["slice", "rows", "accuracy"])
    return Table(frame, identity=("slice",))


def tabulate_skills(
    slices: "Mapping[str, np.ndarray[Any, Any]]",
    own: "np.ndarray[Any, Any]",
    base: "np.ndarray[Any, Any]",
    min_rows: int,
) -> Table:
    """Return one row a slice: slice, rows, skill.

    Args:
        slices: metadata columns of (N,) values.
        own: (N,) errors of the model.
        base: (N,) errors of the best baseline.
        min_rows: fewest rows of a slice that is kept.
    """
    import numpy as np
    import pandas as pd

    records: list[dict[str, object]] = []
    for column, values in slices.items():
        for value in np.unique(values).tolist():
            here = values == value
            rows = int(here.sum())
            if rows >= min_rows:
                skill = 1 - divide_errors(float(own[here].mean()), float(base[here].mean()))
                records.append({"slice": f"{column} {value}", "rows": rows, "skill": skill})
    frame = pd.DataFrame.from_records(records, columns=["slice", "rows", "skill"])
    return Table(frame, identity=("slice",))


def _name_class(value: Any, labels: Sequence[str]) -> str:
    """Return `class <name>`, or the label itself if it is not declared."""
    known = float(value).is_integer() and 0 <= int(value) < len(labels)
    return f"class {labels[int(value)]}" if known else f"label {value}"
