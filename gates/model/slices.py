"""Looks at held-out answers slice by slice: classes, entities, columns, steps, metadata."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.engine.report import skip_check
from gates.engine.suite import expect
from gates.engine.tables import Table
from gates.model.blocks import close_gaps
from gates.model.facts import ModelFacts, find_measure
from gates.model.measure import Measure, measure_errors
from gates.model.paired import compare_skill
from gates.model.part import KEYS, LEAST, Part
from gates.model.skill import find_best

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SURE = 0.99  # many slices are looked at: of a hundred that are as good, one half seems worse
MOST_VALUES, MOST_NAMED = 2000, 20


@dataclass(frozen=True)
class Slice:
    """Some of the answers.

    Attributes:
        family: what tells these slices apart, such as a column's name.
        name: of the slice.
        rows: (N,) which rows it is of.
        part: what of each row, as an index behind the first axis; empty for all.
    """

    family: str
    name: str
    rows: "Array"
    part: tuple[Any, ...] = ()

    def take(self, values: "Array") -> "Array":
        """Return the slice of an array of all rows."""
        found: Array = values[(self.rows, *self.part)]
        return found


@dataclass(frozen=True)
class Slices:
    """What was found slice by slice.

    Attributes:
        table: one row a slice that is judged: slice, family, rows, and a figure.
        few: the slices that have too few rows, each with how many.
    """

    table: Table
    few: tuple[str, ...]


def tabulate_accuracies(facts: ModelFacts, correct: "Array", min_rows: int) -> Slices:
    """Return the accuracy of each value of each metadata column.

    Args:
        facts: of the model.
        correct: (N,) 0 or 1.
        min_rows: fewest rows of a slice that is judged.
    """
    found = _list_values(facts)
    return _tabulate(found, min_rows, lambda here: {"accuracy": float(here.take(correct).mean())})


def tabulate_recalls(facts: ModelFacts, correct: "Array", min_rows: int) -> Slices:
    """Return the accuracy of the rows of each class, which is its recall."""
    return _tabulate(
        _list_classes(facts), min_rows, lambda here: {"accuracy": float(here.take(correct).mean())}
    )


def tabulate_rankings(facts: ModelFacts, measure: Measure, min_rows: int, min_each: int) -> Slices:
    """Return a ranking's figure for each value of each metadata column.

    Args:
        facts: of the model.
        measure: the figure.
        min_rows: fewest rows of a slice that is judged.
        min_each: fewest anomalous ones of these, and fewest normal ones.
    """
    anomalous = facts.truth.astype(bool)

    def count(here: Slice) -> int:
        positive, rows = int(here.take(anomalous).sum()), len(here.rows)
        return rows if min(positive, rows - positive) >= min_each else 0

    def rank(here: Slice) -> dict[str, object]:
        return {"figure": measure.compute(here.take(facts.answers), here.take(facts.truth))}

    return _tabulate(_list_values(facts), min_rows, rank, count)


def tabulate_skills(facts: ModelFacts, measure: Measure, min_rows: int) -> Slices:
    """Return the skill over the best baseline of each slice, and whether it is surely negative.

    Columns: slice, family, rows, baseline, skill, and worse (1 where the upper end of the interval
    is below 0).
    """

    def count(here: Slice) -> int:
        import numpy as np

        known = ~np.isnan(here.take(facts.truth))
        return int(known.reshape(len(known), -1).any(axis=1).sum())

    def compare(here: Slice) -> dict[str, object]:
        truth, blocks = here.take(facts.truth), close_gaps(facts.drawn[here.rows])
        errors = {
            name: measure_errors(
                find_measure(facts, measure.name, name), here.take(answers), truth, blocks
            )
            for name, answers in facts.baselines.items()
        }
        own = measure_errors(measure, here.take(facts.answers), truth, blocks)
        best = find_best(errors)
        skill = compare_skill(own, errors[best], SURE)
        return {"baseline": best, "skill": skill.value, "worse": int(skill.high < 0)}

    return _tabulate(_list_slices(facts), min_rows, compare, count)


def judge_worst(
    found: Slices, about: str, column: str, limit: tuple[str, float], min_rows: int, name: str = ""
) -> Part:
    """Judge the worst slice, and say which slices have too few rows to be judged.

    Args:
        found: the slices.
        about: what of the worst is judged.
        column: its column.
        limit: what it must not be below, after the recipe's key of it.
        min_rows: fewest rows of a slice that is judged.
        name: of the table; empty for `slices`.
    """
    few = f"fewer than {min_rows} rows: {list_few(found.few)}"
    left = f"{about.removeprefix('worst ')}, of small ones"
    skipped = (skip_check(LEAST, left, few),) if found.few else ()
    if not found.table.rows:
        reason = f"no slice has {min_rows} rows" if found.few else "no column of slices is given"
        return Part(skipped=(skip_check(LEAST, about, reason), *skipped))
    key, least = limit
    table = name or "slices"
    judged = expect(LEAST, table, about, column=column, min_value=least, key=KEYS + key)
    return Part(expectations=(judged,), tables={table: found.table}, skipped=skipped)


def list_few(few: Sequence[str]) -> str:
    """Return the first of some slices, and how many more there are."""
    more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
    return ", ".join(few[:MOST_NAMED]) + more


def list_slices(facts: ModelFacts) -> Iterator[Slice]:
    """Yield all slices: classes, values of metadata, and of forecasts columns and steps."""
    if facts.truth.ndim == 1:
        yield from _list_classes(facts)
    yield from _list_slices(facts)


def _list_classes(facts: ModelFacts) -> Iterator[Slice]:
    """Yield the rows of each class."""
    import numpy as np

    for label, name in enumerate(facts.labels):
        yield Slice("class", f"class {name}", np.flatnonzero(facts.truth == label))


def _list_slices(facts: ModelFacts) -> Iterator[Slice]:
    """Yield the slices of numbers: values of metadata, and of forecasts columns and steps."""
    import numpy as np

    yield from _list_values(facts)
    everything = np.arange(facts.rows)
    if facts.truth.ndim < 3:
        return
    _, steps, columns = facts.truth.shape
    for place, name in enumerate(facts.columns if columns > 1 else ()):
        yield Slice("column", f"column {name}", everything, (slice(None), place))
    for step in range(steps if steps > 1 else 0):
        yield Slice("step", f"step {step + 1}", everything, (step,))


def _list_values(facts: ModelFacts) -> Iterator[Slice]:
    """Yield a slice for each value of each metadata column."""
    import numpy as np

    for column, values in facts.slices.items():
        found, place = np.unique(values, return_inverse=True)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=len(found)))
        for value, rows in zip(
            found[:MOST_VALUES].tolist(), np.split(order, ends[:-1]), strict=False
        ):
            yield Slice(column, f"{column} {value}", rows)


def _tabulate(
    found: Iterable[Slice],
    min_rows: int,
    look: Callable[[Slice], Mapping[str, object]],
    count: Callable[[Slice], int] = lambda here: len(here.rows),
) -> Slices:
    """Return what is seen in each slice that has enough rows, and which have not."""
    import pandas as pd

    records: list[dict[str, object]] = []
    few = []
    for here in found:
        rows = count(here)
        if rows < min_rows:
            few.append(f"{here.name} ({rows} rows)")
            continue
        records.append({"slice": here.name, "family": here.family, "rows": rows, **look(here)})
    return Slices(Table(pd.DataFrame.from_records(records), identity=("slice",)), tuple(few))
