"""Exact bytes on held-out rows: what they answer is written down, and judged as the model was."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.specs import DeviceClass, TargetSpec
from gates.model.facts import ModelFacts
from gates.specs.artifact import ArtifactGate
from gates.specs.model import ClassesGate
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from storage.base.figures import Figure, find_value
from storage.base.store import Store
from tasks.gates.device_classes import list_demands
from tasks.objectives.quantiles import describe_quantiles
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet
from tasks.release import held_out
from tasks.release.bench import Bench, Candidate
from tasks.release.costs import ClassCost
from tasks.release.held_out import HeldOutBench
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Prepared
from tests.tasks.release.test_choose import make_candidate

ROWS, LABELS = 60, ("a", "b", "c")
TRUTH = np.arange(ROWS) % 3
SAMPLE = ImageSample(shape=(1, 2, 2), classes=3)
IDS = np.arange(ROWS, dtype=np.uint64)


def answer(wrong: int = 0) -> np.ndarray:
    """Probabilities, of the first rows of class b wrong ones."""
    found = np.full((ROWS, 3), 0.1)
    found[np.arange(ROWS), TRUTH] = 0.8
    found[np.flatnonzero(TRUTH == 1)[:wrong]] = (0.8, 0.1, 0.1)
    return found


class FakeBench(Bench):
    """A bench whose artifacts answer by name."""

    def answer(self, content: bytes, split: str) -> AnswerSheet:
        del split
        if content == b"broken":
            raise BadArtifact("artifact must answer finite values; got others")
        return AnswerSheet(IDS, TRUTH, answer(int(content)))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> FakeBench:
    objective = find_objective(SAMPLE)
    figures = objective.measure(answer(), TRUTH, SAMPLE, split="held_out", standard=False)
    loss = Figure(name="loss", value=0.1, direction="lower", split="held_out")
    evaluated = Evaluated.model_construct(
        sample=SAMPLE,
        standard=False,
        headline="accuracy",
        figures=(*figures, loss),
        predictions_path="",
        predictions=None,
    )
    facts = ModelFacts(
        IDS,
        TRUTH,
        answer(),
        ROWS,
        figures=evaluated.figures,
        measures=objective.list_measures(SAMPLE),
        labels=LABELS,
    )
    sheet = AnswerSheet(IDS, TRUTH, answer())
    monkeypatch.setattr(held_out, "read_predictions", lambda *_: sheet)
    monkeypatch.setattr(held_out, "describe_model", lambda *_: facts)
    passed = SimpleNamespace(reasons=())
    monkeypatch.setattr(held_out, "judge_artifacts", lambda *_: passed)
    taken: Any = None
    return FakeBench(Store(tmp_path), Prepared.model_construct(), evaluated, taken, (), 0.1)


def candidate(wrong: int) -> Candidate:
    return make_candidate(f"wrong{wrong}", content=str(wrong).encode())


def test_every_figure_of_exact_bytes_is_written_down_and_the_slice_that_lost_most(
    bench: FakeBench,
) -> None:
    data: Any = None
    record = HeldOutBench(bench, data, None).record(candidate(5), (), ())
    assert find_value(record.figures, "accuracy", "held_out") == pytest.approx(55 / 60)
    assert find_value(record.figures, "agreement", "held_out") == pytest.approx(55 / 60)
    names = {figure.name for figure in record.figures if figure.split == "held_out"}
    own = {figure.name for figure in bench.evaluated.figures} - {"loss"}
    assert names == own | {"agreement", "worst_slice_drop"}
    assert record.worst_slice == "class b"
    assert find_value(record.figures, "worst_slice_drop") == pytest.approx(5 / 20)


def test_bytes_that_cannot_answer_a_held_out_row_are_refused_and_end_nothing(
    bench: FakeBench,
) -> None:
    data: Any = None
    asked, broken = HeldOutBench(bench, data, None), make_candidate("int8", content=b"broken")
    (here,) = list_demands(TargetSpec(), {}, ArtifactGate())
    assert asked.refuse(broken, here) == ("artifact must answer finite values; got others",)
    record = asked.record(broken, (), ())
    assert record.note == "artifact must answer finite values; got others"
    assert not [figure for figure in record.figures if figure.split == "held_out"]


def test_bytes_that_answer_otherwise_pass_the_model_gate_themselves_once(
    bench: FakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[ModelFacts] = []

    def judge(objective: str, limits: Any, facts: ModelFacts) -> Any:
        assert (objective, limits) == ("classes", gate)
        judged.append(facts)
        low = facts.find_figure("accuracy") < 0.95
        return SimpleNamespace(reasons=("accuracy is too low",) if low else ())

    monkeypatch.setattr(held_out, "judge_model", judge)
    gate, data = ClassesGate(), None
    asked: Any = HeldOutBench(bench, data, gate)  # type: ignore[arg-type]
    described = {"a": DeviceClass(), "b": DeviceClass()}
    target = TargetSpec(classes=("a", "b"))
    both = list_demands(target, described, ArtifactGate())
    # The float model's own answers were judged already.
    assert asked.refuse(candidate(0), list_demands(TargetSpec(), {}, ArtifactGate())[0]) == ()
    assert judged == []
    monkeypatch.setattr(held_out, "describe_artifact", lambda *_: SimpleNamespace(name="int8.onnx"))
    monkeypatch.setattr(HeldOutBench, "record", lambda *_: None)
    for each in both:
        assert asked.refuse(candidate(5), each) == ("gate model: accuracy is too low",)
        assert asked.refuse(candidate(1), each) == ()
    assert len(judged) == 2
    np.testing.assert_array_equal(judged[0].answers, answer(5))
    # What only the training process measures stays as it was.
    assert judged[0].find_figure("loss") == 0.1


def test_bytes_are_judged_by_their_own_quantiles_and_not_the_float_model_s(
    bench: FakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = RowSample(
        objective="values", numbers=(NumberColumn(name="a"),), quantiles=(0.1, 0.5, 0.9)
    )
    median = np.sin(IDS.astype(np.float64))
    truth = median + np.where(IDS % 2, 0.5, -0.5)
    margins = {"mean": np.array([-1.0, 0.0, 1.0])}

    def answer_within(*reach: float) -> AnswerSheet:
        bands = {0.1: median + reach[0], 0.9: median + reach[1]}
        return AnswerSheet(IDS, truth, median, {"mean": truth * 0}, bands, margins)

    own, shifted = answer_within(-1.0, 1.0), answer_within(2.0, 3.0)
    objective = find_objective(sample)
    figures = objective.measure(median, truth, sample, split="held_out", standard=False)
    facts = ModelFacts(
        IDS,
        truth,
        median,
        ROWS,
        figures=figures,
        measures=objective.list_measures(sample),
        quantiles=describe_quantiles(own, sample),
    )
    monkeypatch.setattr(held_out, "read_predictions", lambda *_: own)
    monkeypatch.setattr(held_out, "describe_model", lambda *_: facts)
    sheets = {b"same": own, b"shifted": shifted}
    monkeypatch.setattr(FakeBench, "answer", lambda _, content, split: sheets[content])
    evaluated = bench.evaluated.model_copy(update={"sample": sample, "headline": "mae"})
    judged: list[ModelFacts] = []
    monkeypatch.setattr(
        held_out,
        "judge_model",
        lambda *given: judged.append(given[-1]) or SimpleNamespace(reasons=("coverage",)),
    )
    gate, data = ClassesGate(), None
    other = dataclasses.replace(bench, evaluated=evaluated)
    asked: Any = HeldOutBench(other, data, gate)  # type: ignore[arg-type]
    (here,) = list_demands(TargetSpec(), {}, ArtifactGate())
    assert asked.refuse(make_candidate("fp32", content=b"same"), here) == ()
    candidate = make_candidate("int8", content=b"shifted")
    assert asked.refuse(candidate, here) == ("gate model: coverage",)
    (found,) = [each.quantiles for each in judged]
    assert found is not None
    assert facts.quantiles is not None
    assert (facts.quantiles.shares[0], found.shares[0]) == (0.0, 1.0)
    assert found.margins == facts.quantiles.margins
    record = asked.record(candidate, (), ())
    assert find_value(record.figures, "coverage_gap", "held_out") == pytest.approx(0.9)


def test_what_any_channel_has_against_an_artifact_on_a_class_is_written_down(
    bench: FakeBench,
) -> None:
    described, data = {"hub": DeviceClass()}, None
    asked = [
        list_demands(TargetSpec(classes=("hub",), **limit), described, ArtifactGate())[0]
        for limit in ({"max_size_bytes": 10}, {})
    ]
    made = candidate(0)
    made = dataclasses.replace(made, costs={("hub", 1): ClassCost(made.measured)})
    every = dataclasses.replace(bench, classes=tuple(asked))
    record = HeldOutBench(every, data, None).record(made, (), ())  # type: ignore[arg-type]
    (cost,) = record.classes
    assert cost.faults == ("size in bytes must be at most 10; got 1000",)
