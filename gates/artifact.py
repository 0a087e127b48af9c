"""The artifact gate: do the exact bytes that will ship answer as the judged model does, small and fast enough?"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from gates.engine.judge import run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.specs.artifact import ArtifactGate

STAGE = "artifact"


class ArtifactFacts(BaseModel):
    """Figures of one chosen artifact, measured on the bytes of `sha256_judged` in the runtime that will run them.

    A figure is None where it could not be measured, and then fails.

    Attributes:
        name: such as `int8.onnx`.
        loaded: whether the runtime opened the bytes.
        sha256_judged: of the bytes that were run, hex.
        sha256_to_ship: of the bytes that will be published, hex.
        accuracy_float: held-out accuracy of the float model, fraction; of an anomaly detector its
            average precision.
        accuracy: the same of the artifact on the same rows.
        error_float: held-out mean absolute error of the float model, for a regression.
        error: the same of the artifact on the same rows; with `scored_by` "error" it stands in for
            the accuracy.
        agreement: fraction of held-out rows on which both answer the same: one label, or numbers
            within the tolerance.
        size_bytes: of the file.
        scored_by: which figure says how good it is: accuracy for labels, error for numbers.
        latency_ms_p50: median time of one answer to one row, in milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    loaded: bool
    sha256_judged: str
    sha256_to_ship: str
    scored_by: Literal["accuracy", "error"] = "accuracy"
    accuracy_float: float | None = None
    accuracy: float | None = None
    error_float: float | None = None
    error: float | None = None
    agreement: float | None
    size_bytes: int | None
    latency_ms_p50: float | None


def judge_artifacts(
    gate: ArtifactGate,
    artifacts: Sequence[ArtifactFacts],
    limits: Mapping[str, ArtifactGate] | None = None,
) -> GateReport:
    """Judge the chosen artifacts.

    Args:
        gate: the limits of every artifact.
        artifacts: at least one; names differ.
        limits: limits of a single artifact, by its name, instead of the gate's: those of its device
            class.

    Raises:
        SuiteError: two artifacts share a name.
    """
    names = [facts.name for facts in artifacts]
    if len(set(names)) != len(names):
        raise SuiteError(
            f"artifacts ({names}) must have different names; name each file that ships once"
        )
    tables = {facts.name: _tabulate_artifact(facts) for facts in artifacts}
    return run_suite(build_artifact_suite(gate, artifacts, limits), tables)


def build_artifact_suite(
    gate: ArtifactGate,
    artifacts: Sequence[ArtifactFacts],
    limits: Mapping[str, ArtifactGate] | None = None,
) -> Suite:
    """Return the artifact gate's expectations for these artifacts."""
    chosen = limits or {}
    expectations = [
        item
        for facts in artifacts
        for item in _expect_artifact(chosen.get(facts.name, gate), facts)
    ]
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _expect_artifact(gate: ArtifactGate, facts: ArtifactFacts) -> list[Expectation]:
    """Return the expectations on one artifact."""
    table, largest = facts.name, "expect_column_max_to_be_between"
    score, most = _name_score(gate, facts)
    columns = ("loaded", "sha256", score, "agreement", "size_bytes", "latency_ms_p50")
    in_set = "expect_column_values_to_be_in_set"

    def about(column: str) -> str:
        return f"{facts.name} {column}"

    return [
        *expect_present(table, {column: about(column) for column in columns}),
        expect(in_set, table, about("loaded"), column="loaded", value_set=[True]),
        expect(in_set, table, about("sha256"), column="sha256", value_set=[facts.sha256_to_ship]),
        expect(largest, table, about(score), column=score, max_value=most),
        expect(
            "expect_column_min_to_be_between",
            table,
            about("agreement"),
            column="agreement",
            min_value=gate.min_agreement,
            max_value=1,
        ),
        expect(
            largest,
            table,
            about("size_bytes"),
            column="size_bytes",
            min_value=1,
            max_value=gate.max_size_bytes,
        ),
        expect(
            largest,
            table,
            about("latency_ms_p50"),
            column="latency_ms_p50",
            min_value=0,
            strict_min=True,
            max_value=gate.max_latency_ms_p50,
        ),
    ]


def _name_score(gate: ArtifactGate, facts: ArtifactFacts) -> tuple[str, float]:
    """Return the figure that says what was lost, and the most that may be."""
    if facts.scored_by == "error":
        return "error_increase", gate.max_error_increase
    return "accuracy_drop", gate.max_accuracy_drop


def _measure_loss(facts: ArtifactFacts) -> float | None:
    """Return what was lost to the float model; None if a figure is missing."""
    if facts.scored_by == "error":
        if facts.error is None or facts.error_float is None:
            return None
        # Both without error is no increase; an error where there was none is as bad as can be.
        return (
            facts.error / facts.error_float - 1
            if facts.error_float
            else (math.inf if facts.error else 0.0)
        )
    if facts.accuracy is None or facts.accuracy_float is None:
        return None
    return facts.accuracy_float - facts.accuracy


def _tabulate_artifact(facts: ArtifactFacts) -> Table:
    """Return one row of the artifact's figures."""
    import pandas as pd

    figures = {
        "loaded": facts.loaded,
        "sha256": facts.sha256_judged,
        "error_increase" if facts.scored_by == "error" else "accuracy_drop": _measure_loss(facts),
        "agreement": facts.agreement,
        "size_bytes": facts.size_bytes,
        "latency_ms_p50": facts.latency_ms_p50,
    }
    return Table(pd.DataFrame([figures]))
