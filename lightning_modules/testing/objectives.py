"""The contract of objectives: any objective is answered, judged, measured and exported."""

import numpy as np
import onnx
import pytest
import torch

from lightning_modules.compress.onnx_export import export_onnx
from lightning_modules.data.readers import SampleBatch
from lightning_modules.objectives.base import answer_baselines
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.measure import find_direction, load_metric, measure_figures
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES as SPECS
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import dry_run_step, make_samples
from lightning_modules.training.learner import Learner


class ObjectiveContract:
    """States what every objective promises.

    A subclass gives the fixtures `sample`, a sample of any form with the objective, and `model`,
    the model section of a recipe whose network answers such samples.
    """

    @pytest.fixture
    def learner(self, sample: Sample, model: ModelSpec) -> Learner:
        """A learner with drawn weights."""
        return build_learner(model, sample, train=TrainSpec())

    def test_both_tables_have_its_row(self, sample: Sample) -> None:
        objective = OBJECTIVES.find(sample.objective)
        assert objective.spec is SPECS.find(sample.objective)
        assert objective.spec.name == objective.name == sample.objective

    def test_its_figures_have_a_headline_and_known_directions(self, sample: Sample) -> None:
        spec = SPECS.find(sample.objective)
        figures = {figure.name: figure for figure in spec.list_figures(sample.classes)}
        assert spec.headline in figures
        for name, figure in figures.items():
            assert find_direction(name) == figure.direction
        assert find_direction(spec.watched.name) == spec.watched.direction
        for name in spec.list_metrics(sample.classes, labelled=True):
            assert callable(load_metric(name, sample))

    def test_a_loss_has_a_gradient(self, sample: Sample, learner: Learner) -> None:
        raw, truth = make_samples(sample)
        output, features = learner.respond(raw)
        loss, figure, rows = learner.answer.judge(output.float(), features, truth)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.ndim == figure.ndim == 0
        assert rows == len(truth)
        assert any(value.grad is not None for value in learner.network.parameters())

    def test_answers_are_measured(self, sample: Sample, learner: Learner) -> None:
        raw, truth = make_samples(sample)
        with torch.inference_mode():
            answers = learner.eval().answer_samples(raw)[-1].numpy()
        figures = measure_figures(answers, truth.numpy(), sample, split="held_out")
        wanted = SPECS.find(sample.objective).list_figures(sample.classes)
        assert [figure.name for figure in figures] == [figure.name for figure in wanted]
        assert all(figure.split == "held_out" for figure in figures)

    def test_baselines_answer_as_the_network_does(self, sample: Sample, learner: Learner) -> None:
        raw, truth = make_samples(sample)
        rows = [SampleBatch(raw.numpy(), truth.numpy(), np.arange(len(raw), dtype=np.uint64))]
        fitted = OBJECTIVES.find(sample.objective).fit_baselines(sample, lambda: rows)
        with torch.inference_mode():
            wanted = learner.eval().answer_samples(raw)[-1].shape
        for answers in answer_baselines(fitted, rows[0].row_id, lambda: rows).values():
            assert answers.shape == tuple(wanted)
            assert answers.dtype == np.float32

    def test_what_it_fits_it_fits_on_validation_rows(
        self, sample: Sample, learner: Learner
    ) -> None:
        raw, truth = make_samples(sample)
        if learner.answer.fits:
            with torch.inference_mode():
                output, features = learner.eval().respond(raw)
                collected = learner.answer.collect(output.float(), features, truth)
            assert len(collected) <= len(truth)
            learner.answer.fit(collected)

    def test_exported_outputs_are_those_that_it_names(
        self, sample: Sample, model: ModelSpec
    ) -> None:
        content = export_onnx(build_learner(model, sample).eval(), sample)
        found = {
            output.name: onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
            for output in onnx.load_from_string(content).graph.output
        }
        outputs = SPECS.find(sample.objective).list_outputs(sample)
        assert {name: str(dtype) for name, dtype in found.items()} == dict(outputs)
        assert list(found) == list(outputs)

    def test_a_dry_run_passes(self, sample: Sample, model: ModelSpec) -> None:
        train = TrainSpec.model_validate({"select_by": f"{__name__}:count_rows"})
        dry_run_step(model, train, sample, total_steps=4)


def count_rows(answers: np.ndarray, truth: np.ndarray) -> float:
    """A metric of a user's own, so that dry runs run."""
    del answers
    return float(len(truth))
