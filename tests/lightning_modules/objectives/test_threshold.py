"""A threshold of two classes: chosen on validation rows, in the artifact, and in every figure."""

import numpy as np
import pytest
from pydantic import ValidationError

from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.errors import SpecError
from lightning_modules.objectives.threshold import choose_threshold
from lightning_modules.specs.measure import measure_figures
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.threshold import ThresholdSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import fit_learner, load_learner, read_sample
from storage.base.figures import find_value
from tests.lightning_modules.tables import (
    describe_rows,
    load_cancer,
    make_reader,
    split_rows,
    stream_rows,
)

MISSED = ThresholdSpec.model_validate({"cost": {"missed": 20, "false_alarm": 1}})
ALARMED = ThresholdSpec.model_validate({"cost": {"missed": 1, "false_alarm": 20}})


def draw(seed: int = 0, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which a tenth are positive, and are higher."""
    source = np.random.default_rng(seed)
    positive = source.random(rows) < 0.1
    return 1 / (1 + np.exp(-source.normal(positive * 3.0 - 2.5, 1.0))), positive


def count_cost(scores: np.ndarray, positive: np.ndarray, cut: float, missed: float) -> float:
    called = scores >= cut
    return missed * float((positive & ~called).sum()) + float((~positive & called).sum())


def test_no_other_threshold_costs_less_and_dear_misses_lower_it() -> None:
    scores, positive = draw()
    chosen = choose_threshold(scores, positive, MISSED)
    least = min(count_cost(scores, positive, cut, 20.0) for cut in np.linspace(0, 1, 999))
    assert count_cost(scores, positive, chosen, 20.0) <= least
    assert chosen < choose_threshold(scores, positive, ALARMED)
    later = draw(seed=1)
    assert count_cost(*later, chosen, 20.0) < count_cost(*later, 0.5, 20.0)


@pytest.mark.parametrize("recall", [0.5, 0.9, 1.0])
def test_the_highest_threshold_that_finds_enough(recall: float) -> None:
    scores, positive = draw()
    chosen = choose_threshold(scores, positive, ThresholdSpec(recall=recall))
    assert (scores[positive] >= chosen).mean() >= recall
    higher = scores[positive & (scores >= chosen)].min() + 1e-12
    assert (scores[positive] >= higher).mean() < recall


@pytest.mark.parametrize("wanted", [MISSED, ALARMED, ThresholdSpec(recall=0.9)])
def test_a_network_that_is_sure_of_itself_answers_as_it_was_counted(wanted: ThresholdSpec) -> None:
    # Many probabilities are then neighbours in float32, which a network answers and compares in.
    for seed in range(40):
        source = np.random.default_rng(seed)
        positive = source.random(400) < 0.3
        logits = 3 * source.normal(positive * 6 - 2.0, 4.0)
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        chosen = choose_threshold(scores.astype(np.float64), positive, wanted)
        counted = scores.astype(np.float64) >= chosen
        np.testing.assert_array_equal(counted, scores >= np.float32(chosen))


def test_one_class_alone_is_refused_with_the_remedy() -> None:
    scores, positive = draw()
    with pytest.raises(SpecError, match=r"data\.split\.validation"):
        choose_threshold(scores, np.zeros_like(positive), MISSED)


@pytest.mark.parametrize("given", [{}, {"recall": 0.9, "cost": {"missed": 1, "false_alarm": 1}}])
def test_one_way_to_choose_it_is_given(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="by cost or by recall"):
        ThresholdSpec.model_validate(given)


def test_checkpoint_artifact_and_figures_answer_by_the_threshold() -> None:
    splits = split_rows(load_cancer())
    sample = describe_rows(splits["train"], "classes").model_copy(update={"positive": 0})
    threshold = {"recall": 1.0}
    model = ModelSpec.model_validate(
        {"network": {"family": "closed_linear"}, "threshold": threshold}
    )
    fitted = fit_learner(
        model,
        TrainSpec(batch_size=32, precision="fp32"),
        sample,
        train_stream=stream_rows(splits["train"], 32, shuffle=True),
        validation_stream=stream_rows(splits["validation"], 50),
        reader=make_reader(sample),
    )
    settled = read_sample(fitted.checkpoint)
    assert settled.threshold == fitted.result.threshold
    assert settled.threshold is not None
    raw = make_reader(sample).read_samples(splits["held_out"])
    learner = load_learner(fitted.checkpoint)
    label, shares = run_onnx(export_onnx(learner, settled), raw)
    called = shares[:, 0] >= settled.threshold
    assert np.array_equal(label == 0, called)
    assert not np.array_equal(label, shares.argmax(1)), "the threshold is the even one"
    answers = predict_rows(learner, stream_rows(splits["validation"], 50), make_reader(sample))
    figures = measure_figures(answers.values, answers.truth, settled)
    assert find_value(figures, "recall") == 1.0
    assert find_value(figures, "accuracy") == pytest.approx(answers.figures["accuracy"])
    assert find_value(measure_figures(answers.values, answers.truth, sample), "recall") is None
