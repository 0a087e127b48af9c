"""Records for pages of tests."""

import hashlib
from typing import Any

from gates.engine.report import Check, GateReport, verdict
from storage.base.figures import Figure
from storage.records.curve import CurvePoint
from storage.records.receipts import ArtifactRecord

CHAIN = (
    "collect",
    "gate raw",
    "prepare",
    "gate prepared",
    "train",
    "evaluate",
    "gate model",
    "compress",
    "gate artifact",
    "promote",
)


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def make_check(**changes: Any) -> Check:
    base = {"rule": "r", "about": "a", "observed": 1, "limit": 1, "passed": True, "message": ""}
    return Check(**{**base, **changes})


def make_report(*checks: Check, stage: str = "raw") -> GateReport:
    return GateReport(
        stage=stage, passed=verdict(checks), checks=checks, suite_digest=digest(stage)
    )


def make_point(epoch: int, **values: float | None) -> CurvePoint:
    """A point of a curve from values such as `train_loss` and `validation_accuracy`."""
    figures = []
    for name, value in values.items():
        split, _, figure = name.partition("_")
        rate = figure == "accuracy"
        figures.append(
            Figure(
                name=figure,
                value=value,
                unit="1" if rate else "",
                direction="higher" if rate else "lower",
                split=split,
            )
        )
    return CurvePoint(epoch=epoch, figures=tuple(figures))


def make_artifact(name: str, **changes: Any) -> ArtifactRecord:
    """An artifact from figures such as `accuracy`, `validation_mae` and `size_bytes`."""
    fields = {key: changes.pop(key) for key in ("sha256", "chosen_for", "note") if key in changes}
    figures = []
    for key, value in changes.items():
        split = "validation" if key.startswith("validation_") else "held_out"
        figure = key.removeprefix("validation_")
        if figure.startswith(("size_", "latency_")):
            unit = "bytes" if figure == "size_bytes" else "ms"
            figures.append(Figure(name=figure, value=value, unit=unit, direction="lower"))
        else:
            figures.append(
                Figure(name=figure, value=value, unit="" if figure == "mae" else "1", split=split)
            )
    base = {"file": f"{name}.onnx", "sha256": digest(name)}
    return ArtifactRecord(name=name, figures=tuple(figures), **{**base, **fields})
