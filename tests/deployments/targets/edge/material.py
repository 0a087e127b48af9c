"""Rows, and a model that answers without being one."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from deployments.targets.edge.spool_rows import SpoolRow
from deployments.targets.run.live import LiveModel
from deployments.targets.run.objectives import Output, Teller
from deployments.targets.run.runtime import Answers
from deployments.targets.serve.recorder import Truth
from deployments.targets.trust.card import OutputSpec

MODEL, OTHER_MODEL = "ab" * 32, "cd" * 32
AT = "2026-11-28T06:00:00+00:00"


def make_row(
    sequence: int,
    device: str = "d1",
    model_id: str = MODEL,
    size: int = 4,
    times: bytes | None = None,
) -> SpoolRow:
    data = (sequence % 251).to_bytes(1, "little") * size
    return SpoolRow(
        sequence=sequence,
        kind="answer",
        at=AT,
        model_id=model_id,
        probability=1.0,
        reason="all",
        answer_id=f"{device}:{sequence}",
        said='{"label":"7"}',
        dtype="uint8",
        shape=f"[{size}]",
        data=data,
        times=times,
    )


def make_truth_row(sequence: int) -> SpoolRow:
    return SpoolRow(sequence, "truth", AT, None, 1.0, "all", "d1:1", '"8"')


def tell(answer_id: Any, truth: Any) -> Truth:
    """A truth, also one that no request could bring."""
    return Truth.model_construct(answer_id=answer_id, truth=truth)


OUTPUTS = (OutputSpec(name="score", dtype="float32", meaning="score"),)


def make_live(model_id: str = MODEL, records: str = "full") -> LiveModel:
    teller = Teller(
        lambda answers, row: (
            Output(name="score", value=float(answers.values[row]), meaning="score"),
        ),
        str,
    )
    signed = {"signed": {"recipe": {"document": {"targets": {"edge": {"records": records}}}}}}
    verified = SimpleNamespace(
        receipt=json.dumps(signed).encode(),
        release=SimpleNamespace(receipt=f"receipt of {records}", channel="edge"),
    )
    found = SimpleNamespace(model_id=model_id, teller=teller, verified=verified)
    return cast(LiveModel, found)


def make_answers(scores: list[float]) -> Answers:
    return Answers(OUTPUTS, {"score": np.array(scores, np.float32)})


@dataclass
class MemoryUplink:
    """Keeps batches by name; fails as often as it is told to."""

    display: str = "memory"
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    loses_replies: bool = False

    def send(self, name: str, data: bytes) -> None:
        if self.faults and not self.loses_replies:
            raise self.faults.pop()
        self.files.setdefault(name, data)
        if self.faults:
            raise self.faults.pop()
