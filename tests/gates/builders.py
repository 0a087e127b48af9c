"""Good facts, which the tests of the gates spoil one at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gates.artifact import ArtifactFacts
from gates.engine.on_fail import BadRows
from gates.engine.report import GateReport
from gates.engine.sharded_table import ShardedTable, make_shard
from gates.engine.tables import FieldFacts, FieldRule, ShardFacts, Table, tabulate_shards
from gates.model.classes import name_precision
from gates.model.facts import ModelFacts
from gates.model.measure import Measure
from gates.prepared.facts import PreparedFacts
from gates.raw.image import ImageFacts
from lightning_modules.specs.samples import NumberColumn, RowSample
from storage.base.figures import Figure
from tasks.objectives.registry import find_objective

LABELS = tuple(str(digit) for digit in range(10))
FIELDS = {"image": FieldRule(dtype="uint8", shape=(1, 8, 8), value_range=(0, 16))}
ROWS = 1000
SPLITS = np.repeat(["train", "validation", "held_out"], [600, 100, 300])


def make_field(**changes: Any) -> FieldFacts:
    return FieldFacts(dtype="uint8", shape=(1, 8, 8), min=0, max=16).model_copy(update=changes)


def make_shards(**changes: Any) -> Table:
    """Four shards of 250 rows; the changes are applied to the image field of the second."""
    shards = [
        ShardFacts(shard=f"ab{i}", rows=250, fields={"image": make_field()}) for i in range(4)
    ]
    shards[1] = ShardFacts(shard="ab1", rows=250, fields={"image": make_field(**changes)})
    return tabulate_shards(shards)


def make_columns() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "row_id": np.arange(ROWS, dtype=np.uint64) + 10_000,
        "label": np.arange(ROWS) % 10,
        "content_hash": rng.integers(0, 2**63, (ROWS, 2)).astype(np.uint64),
    }


def tabulate_rows(
    row_id: Any, label: Any, content_hash: Any, split: Any = "", label_valid: Any = True
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All rows in memory, and the facts that follow from them by pandas alone."""
    frame = pd.DataFrame({"row_id": row_id, "label": label, "split": split})
    frame["high"], frame["low"] = content_hash[:, 0], content_hash[:, 1]
    if not np.all(label_valid):
        frame["label"] = frame["label"].astype("float64").where(label_valid)
    first = frame.drop_duplicates(["high", "low", "split"])
    known = frame.dropna(subset="label").astype({"label": int})
    return frame, {
        "duplicates": name_rows(frame, ~frame.index.isin(first.index)),
        "alike": name_rows(frame, frame.duplicated("row_id", keep=False)),
        "shared": name_rows(first, first.duplicated(["high", "low"], keep=False)),
        "splits": frame.split.value_counts().to_dict(),
        "label_counts": {
            name: rows.label.value_counts().to_dict() for name, rows in known.groupby("split")
        },
    }


def name_rows(frame: pd.DataFrame, chosen: Any) -> BadRows:
    ids = frame.row_id[chosen]
    return BadRows(len(ids), len(frame), [f"row_id {row}" for row in ids[:20]])


def make_table(frame: pd.DataFrame) -> ShardedTable:
    return ShardedTable(
        (make_shard("ab", frame[["row_id", "label"]]),) if len(frame) else (), ("row_id",)
    )


def make_raw_facts(**columns: Any) -> ImageFacts:
    frame, found = tabulate_rows(**(make_columns() | columns))
    counts = frame.label.dropna().astype(int).value_counts().to_dict()
    return ImageFacts(make_shards(), make_table(frame), found["duplicates"], FIELDS, LABELS, counts)


def make_prepared_facts(**columns: Any) -> PreparedFacts:
    frame, found = tabulate_rows(**(make_columns() | {"split": SPLITS} | columns))
    del found["duplicates"]
    named = [name for name in dict.fromkeys(frame.split) if name]
    shards = pd.concat(
        [make_shards().frame.iloc[[0]].assign(split=name) for name in named], ignore_index=True
    )
    return PreparedFacts(
        shards=Table(shards, identity=("shard", "source")),
        rows=make_table(frame),
        **found,
        fields=FIELDS,
        labels=LABELS,
        fitted={"image": ((4.9,), (6.0,))},
        rows_collected=1010,
        rows_dropped={"duplicate": 10},
    )


def make_probabilities(wrong: int = 10) -> np.ndarray[Any, Any]:
    """(300, 10) proper probabilities; the first `wrong` rows answer the next class."""
    answer = np.arange(300) % 10
    answer[:wrong] = (answer[:wrong] + 1) % 10
    probabilities = np.full((300, 10), 0.01)
    probabilities[np.arange(300), answer] = 0.91
    return probabilities


def make_model_facts(
    champion_wrong: int | None = None, wrong: int = 10, **changes: Any
) -> ModelFacts:
    given: dict[str, Any] = {
        "row_id": np.arange(300, dtype=np.uint64),
        "truth": np.arange(300) % 10,
        "answers": make_probabilities(wrong),
        "rows_held_out": 300,
        "labels": LABELS,
        "measures": list_measures("classes", len(changes.get("labels", LABELS))),
    }
    if champion_wrong is not None:
        given["champion"] = make_probabilities(champion_wrong)
    given |= changes
    commonest = np.eye(given["answers"].shape[1])[[0]]
    given.setdefault("baselines", {"majority": np.repeat(commonest, len(given["truth"]), axis=0)})
    facts = ModelFacts(**given)
    return facts if facts.figures else replace(facts, figures=measure_classes(facts))


def list_measures(
    objective: str, classes: int = 0, threshold: float | None = None
) -> tuple[Measure, ...]:
    """How the figures of an objective are measured."""
    sample = RowSample(
        objective=objective,
        numbers=(NumberColumn(name="a"),),
        classes=classes,
        threshold=threshold,
    )
    return find_objective(sample).list_measures(sample)


def measure_classes(
    facts: ModelFacts, average_precision: float | None = None
) -> tuple[Figure, ...]:
    """The figures that those who train hand to the gate."""
    rows = min(len(facts.truth), len(facts.answers))
    right = facts.answers[:rows].argmax(axis=1) == facts.truth[:rows]
    return (
        Figure(name="accuracy", value=float(right.mean()) if rows else None, split="held_out"),
        Figure(name=name_precision(facts.labels), value=average_precision, split="held_out"),
    )


def make_artifact(**changes: Any) -> ArtifactFacts:
    facts = ArtifactFacts(
        name="int8.onnx",
        loaded=True,
        sha256_judged="ab" * 32,
        sha256_to_ship="ab" * 32,
        score_float=0.99,
        score=0.988,
        agreement=0.995,
        size_bytes=12_345,
        latency_ms_p50=0.2,
    )
    return facts.model_copy(update=changes)


def spoil(table: Table, row: int | slice, column: str, value: Any) -> Table:
    frame = table.frame.copy()
    if isinstance(value, float) and frame[column].dtype.kind in "iu":
        frame[column] = frame[column].astype("float64")
    frame.loc[frame.index[row], column] = value
    return replace(table, frame=pd.DataFrame(frame))


def find_failure(report: GateReport, about: str) -> str:
    """The message of the one failed check about this figure."""
    assert not report.passed
    messages = [
        check.message for check in report.checks if not check.passed and check.about == about
    ]
    assert len(messages) == 1, (about, report.reasons)
    assert messages[0] in report.reasons
    return messages[0]
