"""The artifact gate judges the exact bytes that will ship.

They must answer as the judged model does, and be small and fast.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, verdict
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.specs.artifact import ArtifactGate

STAGE = "artifact"
_KEYS = "gates.artifact."
_LEAST = "expect_column_min_to_be_between"
_MOST = "expect_column_max_to_be_between"
_SERVED = "expect_channel_to_get_an_artifact"
_IN_SET = "expect_column_values_to_be_in_set"


class ArtifactFacts(BaseModel):
    """Figures of one chosen artifact, measured on the bytes of `sha256_judged` in their runtime.

    A figure is None where it could not be measured, and then fails.

    Attributes:
        name: such as `int8.onnx`.
        loaded: whether the runtime opened the bytes.
        sha256_judged: of the bytes that were run, hex.
        sha256_to_ship: of the bytes that will be published, hex.
        scored_by: what the scores are: an accuracy or another fraction, of which more is better, or
            an error, of which less is.
        score_float: of the float model on the held-out rows.
        score: the same of the artifact on the same rows.
        agreement: fraction of held-out rows on which both answer the same: one label, or numbers
            within the tolerance.
        size_bytes: of the file.
        latency_ms_p50: median time of one answer to one row, in milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    loaded: bool
    sha256_judged: str
    sha256_to_ship: str
    scored_by: Literal["accuracy", "error"] = "accuracy"
    score_float: float | None
    score: float | None
    agreement: float | None
    size_bytes: int | None
    latency_ms_p50: float | None


def judge_artifacts(
    limits: Mapping[str, ArtifactGate],
    artifacts: Sequence[ArtifactFacts],
    refused: Mapping[str, Sequence[str]] | None = None,
) -> GateReport:
    """Judge the chosen artifacts, each by the limits of the device classes that it was chosen for.

    Args:
        limits: of each artifact, by its name.
        artifacts: names differ; none where all device classes are refused.
        refused: why a device class gets none, by its name: that stops it alone, and the run where
            no other one gets any.

    Raises:
        SuiteError: two artifacts share a name.
    """
    names = [facts.name for facts in artifacts]
    if len(set(names)) != len(names):
        raise SuiteError(
            f"artifacts ({names}) must have different names; name each file that ships once"
        )
    tables = {facts.name: _tabulate_artifact(facts) for facts in artifacts}
    expectations = [
        item for facts in artifacts for item in _expect_artifact(limits[facts.name], facts)
    ]
    report = run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables)
    checks = (*report.checks, *_check_served(refused or {}, stops=not artifacts))
    return report.model_copy(update={"checks": checks, "passed": verdict(checks)})


def _check_served(refused: Mapping[str, Sequence[str]], *, stops: bool) -> list[Check]:
    """Return a failed check for each device class that gets no artifact."""
    return [
        Check(
            rule=_SERVED,
            about=f"{channel} artifact",
            observed=0,
            limit=1,
            passed=False,
            severity="stop" if stops else "warn",
            message=f"{_SERVED} on {channel}: nothing is released there, for {'; '.join(reasons)}; "
            f"loosen gates.artifact or the limits of targets.{channel}, or let it prefer fp32 too",
        )
        for channel, reasons in refused.items()
    ]


def _expect_artifact(gate: ArtifactGate, facts: ArtifactFacts) -> list[Expectation]:
    """Return the expectations on one artifact."""
    score, loss = _name_score(gate, facts)
    columns = ("loaded", "sha256", score, "agreement", "size_bytes", "latency_ms_p50")
    about = {column: f"{facts.name} {column}" for column in columns}
    bytes_to_ship, size, slow = facts.sha256_to_ship, gate.max_size_bytes, gate.max_latency_ms_p50

    def ask(rule: str, column: str, limit: str = "", **kwargs: Any) -> Expectation:
        key = limit and _KEYS + limit
        return expect(rule, facts.name, about[column], column=column, key=key, **kwargs)

    return [
        *expect_present(facts.name, about),
        ask(_IN_SET, "loaded", value_set=[True]),
        ask(_IN_SET, "sha256", value_set=[bytes_to_ship]),
        ask(_MOST, score, f"max_{score}", max_value=loss),
        ask(_LEAST, "agreement", "min_agreement", min_value=gate.min_agreement, max_value=1),
        ask(_MOST, "size_bytes", "max_size_bytes", min_value=1, max_value=size),
        ask(
            _MOST,
            "latency_ms_p50",
            "max_latency_ms_p50",
            min_value=0,
            strict_min=True,
            max_value=slow,
        ),
    ]


def _name_score(gate: ArtifactGate, facts: ArtifactFacts) -> tuple[str, float]:
    """Return the name of what was lost, and the most that may be."""
    if facts.scored_by == "error":
        return "error_increase", gate.max_error_increase
    return "accuracy_drop", gate.max_accuracy_drop


def _measure_loss(facts: ArtifactFacts) -> float | None:
    """Return what was lost to the float model; None if a score is missing.

    Both without error is no increase; an error where there was none is as bad as can be.
    """
    if facts.score is None or facts.score_float is None:
        return None
    if facts.scored_by != "error":
        return facts.score_float - facts.score
    if facts.score_float:
        return facts.score / facts.score_float - 1
    return math.inf if facts.score else 0.0


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
