"""Answers of an artifact to a split: all that figures and gates look at, ordered by row id."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deployments.targets.run.runtime import Answers
from deployments.targets.trust.card import OutputSpec
from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.samples import NumberColumn, RowSample
from tasks.training import answers
from tasks.training.answers import answer_split

NAMES = ("quantile_0.1", "quantile_0.9", "values")


@pytest.mark.parametrize("asked", [NAMES, NAMES[-1:]])
def test_quantiles_that_an_artifact_is_asked_for_stand_beside_its_median(
    asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = tuple(OutputSpec(name=name, meaning=name, unit="") for name in asked)

    class Doubles:
        def __init__(self) -> None:
            self.outputs = outputs

        def predict(self, rows: np.ndarray) -> Answers:
            moved = dict(zip(NAMES, (-1.0, 1.0, 0.0), strict=True))
            return Answers(outputs, {name: 2 * rows[:, 0] + moved[name] for name in asked})

    ids = np.array([3, 1, 2], dtype=np.uint64)
    batches = [
        SampleBatch(part[:, None].astype(np.float64), part.astype(np.float64), part)
        for part in (ids[:2], ids[2:])
    ]
    monkeypatch.setattr(answers, "open_version", lambda *_: None)
    monkeypatch.setattr(
        answers, "SampleRows", lambda *_: SimpleNamespace(read=lambda split: batches)
    )
    numbers = (NumberColumn(name="a"),)
    sample = RowSample(objective="values", numbers=numbers, quantiles=(0.1, 0.5, 0.9))
    predictor, nothing = Doubles(), SimpleNamespace(dataset=None)
    sheet = answer_split(nothing, nothing, "held_out", predictor, sample)  # type: ignore[arg-type]
    wanted: dict[float, Any] = {0.1: [1.0, 3.0, 5.0], 0.9: [3.0, 5.0, 7.0]}
    assert sheet.row_id.tolist() == [1, 2, 3]
    assert sheet.values.tolist() == [2.0, 4.0, 6.0]
    found = {level: values.tolist() for level, values in sheet.bands.items()}
    assert found == (wanted if len(asked) > 1 else {})
