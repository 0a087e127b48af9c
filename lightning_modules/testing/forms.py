"""The contract of forms: a sample of any form is built for, changed, trained on and exported."""

import numpy as np
import torch
from pydantic import TypeAdapter

from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.data.augmentations import build_augmentation
from lightning_modules.heads.registry import HEADS
from lightning_modules.networks.registry import NETWORKS
from lightning_modules.specs.forms import FORMS, AnySample, check_params
from lightning_modules.specs.model import HeadSpec, ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples

ROWS = 6
ANY_SAMPLE: TypeAdapter[Sample] = TypeAdapter(AnySample)


class FormContract:
    """States what every form of samples promises.

    A subclass gives the fixtures `sample`, a sample of the form with any objective, and `model`,
    the model section of a recipe whose network answers such samples.
    """

    def test_every_table_has_its_row(self, sample: Sample) -> None:
        form = FORMS.find(sample.form)
        assert form.name == sample.form
        assert isinstance(sample, form.sample)
        assert set(NETWORKS.find(sample.form)) == set(form.families)
        assert sample.form in HEADS
        assert form.augmentation is None or form.augmentation in form.augmentations

    def test_a_sample_survives_its_json(self, sample: Sample) -> None:
        found = ANY_SAMPLE.validate_json(ANY_SAMPLE.dump_json(sample))
        assert found == sample
        assert type(found) is type(sample)

    def test_settings_that_it_lists_are_settings(self, sample: Sample) -> None:
        form = FORMS.find(sample.form)
        assert set(form.head_settings) <= set(HeadSpec.model_fields)
        assert all(check_params(form.name, family, {}) is not None for family in form.families)

    def test_made_up_samples_are_samples(self, sample: Sample) -> None:
        raw = HEADS.find(sample.form).make_raw(sample, ROWS, np.random.default_rng(0))
        assert raw.shape == (ROWS, *sample.shape)
        assert raw.dtype == sample.dtype

    def test_its_head_gives_features_of_the_shape_that_it_says(
        self, sample: Sample, model: ModelSpec
    ) -> None:
        form = HEADS.find(sample.form)
        head = form.build_head(model.head, sample)
        raw = torch.from_numpy(form.make_raw(sample, ROWS, np.random.default_rng(0)))
        features = head(raw)
        assert features.dtype == torch.float32
        assert tuple(features.shape[1:]) == form.measure_features(head, model.head, sample)
        assert torch.isfinite(features).all()

    def test_linear_baselines_get_flat_features(self, sample: Sample) -> None:
        form = HEADS.find(sample.form)
        raw = form.make_raw(sample, ROWS, np.random.default_rng(0))
        if form.has_features:
            features = form.flatten_features(sample, raw)
            assert features.ndim == 2
            assert len(features) == ROWS
            assert np.isfinite(features).all()

    def test_its_augmentation_keeps_shapes_and_is_repeatable(self, sample: Sample) -> None:
        augment = build_augmentation(TrainSpec(), sample)
        raw, _ = make_samples(sample)
        row_id = np.arange(len(raw), dtype=np.uint64)
        if augment is not None:
            changed = augment(raw, row_id, epoch=0)
            assert changed.shape == raw.shape
            assert torch.equal(changed, augment(raw, row_id, epoch=0))

    def test_it_is_exported_with_its_head(self, sample: Sample, model: ModelSpec) -> None:
        learner = build_learner(model, sample).eval()
        raw, _ = make_samples(sample)
        with torch.inference_mode():
            wanted = learner.answer_samples(raw)
        for found, answer in zip(
            run_onnx(export_onnx(learner, sample), raw.numpy()), wanted, strict=True
        ):
            np.testing.assert_allclose(found, answer.numpy(), rtol=1e-3, atol=1e-3)
