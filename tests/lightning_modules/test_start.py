"""Training that starts from weights: what fits is taken, what does not is refused by name, what is frozen stays."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from lightning_modules.build import build_learner
from lightning_modules.checkpoint import unpack_weights
from lightning_modules.errors import CheckpointError, SpecError
from lightning_modules.specs import HeadSpec, ModelSpec, NetworkSpec, SampleSpec
from lightning_modules.start import Start, read_start
from lightning_modules.train import Fitted, fit_learner
from lightning_modules.train_specs import OptimizerSpec, StartSpec, TrainSpec
from tests.lightning_modules.streams import MemoryStream, split_digits

SAMPLE = SampleSpec(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
CNN = ModelSpec(network=NetworkSpec(family="cnn", params={"widths": [4, 8], "dropout": 0.2}))
RESNET = ModelSpec(network=NetworkSpec(family="resnet", params={"blocks": [1, 1], "widths": [4, 8]}))
MODEL_ID = "0" * 64


def make_start(content: bytes, **changes: Any) -> Start:
    return read_start(content, StartSpec(model=MODEL_ID, **changes))


def fit(model: ModelSpec, sample: SampleSpec = SAMPLE, start: Start | None = None, **changes: Any) -> Fitted:
    splits = split_digits()
    if sample.classes < 10:
        splits = {
            name: {field: values[rows["label"] < sample.classes] for field, values in rows.items()}
            for name, rows in splits.items()
        }
    spec = TrainSpec(**{"max_epochs": 3, "batch_size": 64, "optimizer": OptimizerSpec(lr=5e-3), **changes})
    return fit_learner(
        model,
        spec,
        sample,
        train_stream=MemoryStream(splits["train"], batch_size=spec.batch_size),
        validation_stream=MemoryStream(splits["validation"], batch_size=50, shuffle=False),
        start=start,
    )


def read_weights(fitted: Fitted) -> dict[str, Tensor]:
    return unpack_weights(fitted.checkpoint)[0]


@pytest.fixture(scope="module")
def trained() -> Fitted:
    return fit(CNN, max_epochs=8)


def test_training_goes_on_from_what_was_learned(trained: Fitted) -> None:
    first = fit(CNN, start=make_start(trained.checkpoint), max_epochs=1)
    drawn = fit(CNN, max_epochs=1)
    losses = [fitted.result.history[0]["train_loss"] for fitted in (first, drawn)]
    # No worse than where the training before it ended.
    assert losses[0] < 1.1 * trained.result.history[-1]["train_loss"] < 0.9 * losses[1]


def test_every_tensor_is_taken_but_those_that_are_drawn(trained: Fitted) -> None:
    spec = TrainSpec(seed=5)
    learner = build_learner(CNN, SAMPLE, train=spec, start=make_start(trained.checkpoint, fresh=["classifier"]))
    drawn = build_learner(CNN, SAMPLE, train=spec)
    before, taken = read_weights(trained), dict(learner.named_parameters())
    for name, value in drawn.named_parameters():
        same_as_before, same_as_drawn = (torch.equal(taken[name], other) for other in (before[name], value))
        assert same_as_drawn if "classifier" in name else same_as_before, name
        assert same_as_before != same_as_drawn


def test_mirrored_network_takes_the_weights_of_one_that_is_not_and_the_other_way_round(trained: Fitted) -> None:
    mirrored = CNN.model_copy(update={"head": HeadSpec(mirror=True)})
    there = build_learner(mirrored, SAMPLE, start=make_start(trained.checkpoint))
    image = torch.from_numpy(split_digits()["held_out"]["image"][:20])
    both = torch.cat([image, image.flip(3)])
    with torch.inference_mode():
        mean = trained.learner(both).reshape(2, 20, 10).mean(0)
        assert torch.allclose(there.eval()(image), mean, atol=1e-5)
    back = build_learner(CNN, SAMPLE, start=make_start(fit(mirrored, max_epochs=1).checkpoint))
    assert back.network.classifier.weight.shape == (10, 8)


def test_what_is_frozen_stays_with_its_normalisation_and_the_rest_learns(trained: Fitted) -> None:
    fitted = fit(CNN, start=make_start(trained.checkpoint, freeze=["features"], fresh=["classifier"]))
    before, after = read_weights(trained), read_weights(fitted)
    counter = "num_batches_tracked"  # taken from nowhere
    features = [name for name in after if name.startswith("network.features") and not name.endswith(counter)]
    assert any(name.endswith("running_mean") for name in features)
    for name in features:
        assert torch.equal(after[name], before[name]), name
    assert not torch.equal(after["network.classifier.weight"], before["network.classifier.weight"])
    assert fitted.result.history[-1]["train_loss"] < fitted.result.history[0]["train_loss"]


def test_file_with_usual_names_is_taken_for_other_classes(trained: Fitted) -> None:
    """As a published ResNet is: its own tensors by their names, a last layer of a thousand classes."""
    source = build_learner(RESNET, SAMPLE.model_copy(update={"classes": 1000})).network
    tensors = {name: value.contiguous() for name, value in source.state_dict().items() if "num_batches" not in name}
    assert {"conv1.weight", "layer1.0.bn2.running_var", "fc.bias"} <= tensors.keys()
    three = SAMPLE.model_copy(update={"classes": 3})
    start = read_start(save_tensors(tensors), StartSpec(url="weights.safetensors", fresh=["fc"], freeze=["layer1"]))
    fitted = fit(RESNET, three, start)
    after = read_weights(fitted)
    assert torch.equal(after["network.layer1.0.conv1.weight"], tensors["layer1.0.conv1.weight"])
    assert not torch.equal(after["network.conv1.weight"], tensors["conv1.weight"])
    assert after["network.fc.weight"].shape == (3, 8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("fc.bias"), r"fc\.bias is absent; .*fresh: \[fc\]"),
        (lambda tensors: tensors.update({"fc.weight": torch.zeros(7, 8)}), r"shape \(7, 8\) instead of \(10, 8\)"),
        (lambda tensors: tensors.update({"layer9.weight": torch.zeros(1)}), r"layer9\.weight has no place"),
        (lambda tensors: tensors["conv1.weight"].fill_(np.nan), r"conv1\.weight is not finite"),
        (lambda tensors: tensors.clear(), r"conv1\.weight is absent.* and \d+ more"),
    ],
    ids=["absent", "of another shape", "left over", "not finite", "empty"],
)
def test_weights_that_do_not_fit_are_refused_by_name(change: Any, said: str) -> None:
    tensors = {name: value.clone() for name, value in build_learner(RESNET, SAMPLE).network.state_dict().items()}
    start = Start(tensors, StartSpec(url="file"))
    build_learner(RESNET, SAMPLE, start=start)
    change(tensors)
    with pytest.raises(SpecError, match=said):
        build_learner(RESNET, SAMPLE, start=start)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fresh": ["head"]}, r"fresh \(head\) must name parts of the network; .* features, classifier"),
        ({"freeze": ["features", "class"]}, r"freeze \(class\) must name parts"),
        ({"freeze": ["features", "classifier"]}, "must leave something to learn"),
        ({"fresh": ["features", "classifier"]}, "no tensor that is to be taken"),
    ],
    ids=["unknown part drawn", "unknown part frozen", "all frozen", "all drawn"],
)
def test_parts_that_make_no_sense_are_refused(trained: Fitted, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        build_learner(CNN, SAMPLE, start=make_start(trained.checkpoint, **changes))


def test_other_files_are_refused(trained: Fitted) -> None:
    for content in (b"", b"PK\x03\x04 a zip", trained.checkpoint[: len(trained.checkpoint) // 2]):
        with pytest.raises(CheckpointError, match=r"train\.start_from must name a safetensors file"):
            make_start(content)


def test_frozen_modules_stay_in_answering_mode() -> None:
    learner = build_learner(CNN, SAMPLE)
    learner.frozen = (learner.network.features,)
    learner.eval().train()
    assert learner.network.dropout.training
    assert not any(module.training for module in learner.network.features.modules() if isinstance(module, nn.Module))
