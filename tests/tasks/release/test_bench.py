"""The bench asks for one figure, and for no other: a trial asks for it dozens of times."""

from typing import Any

import numpy as np
import pytest

from lightning_modules.specs.samples import ImageSample
from storage.base.store import Store
from tasks.objectives import base
from tasks.objectives.sheets import AnswerSheet
from tasks.release.bench import Bench
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Prepared


def test_a_score_measures_no_other_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("every figure was measured")

    monkeypatch.setattr(base, "measure_figures", fail)
    sample = ImageSample(shape=(1, 8, 8), classes=3)
    evaluated = Evaluated.model_construct(sample=sample, standard=False)
    taken: Any = None
    bench = Bench(Store(tmp_path), Prepared.model_construct(), evaluated, taken, (), 0.1)
    answers = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    sheet = AnswerSheet(np.arange(4, dtype=np.uint64), np.array([0, 1, 2, 0]), answers)
    assert bench.judge(sheet) == 0.75
