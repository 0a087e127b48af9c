"""Training that starts from weights: what fits is taken, what does not is refused by name, what is
frozen stays.
"""

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from lightning_modules.errors import CheckpointError, SpecError
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import CategoryColumn, ImageSample, NumberColumn, RowSample
from lightning_modules.specs.start import StartSpec
from lightning_modules.specs.training import OptimizerSpec, TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.checkpoint import copy_weights, pack_weights, unpack_weights
from lightning_modules.training.start_weights import Start, read_start
from lightning_modules.training.trainer import Fitted, fit_learner
from tests.lightning_modules.streams import MemoryStream, split_digits

SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
CNN = ModelSpec(network=NetworkSpec(family="cnn", params={"widths": [4, 8], "dropout": 0.2}))
RESNET = ModelSpec(
    network=NetworkSpec(family="resnet", params={"blocks": [1, 1], "widths": [4, 8]})
)
MODEL_ID = "0" * 64


def make_start(content: bytes, **changes: Any) -> Start:
    return read_start(content, StartSpec(model=MODEL_ID, **changes))


def fit(
    model: ModelSpec, sample: ImageSample = SAMPLE, start: Start | None = None, **changes: Any
) -> Fitted:
    splits = split_digits()
    if sample.classes < 10:
        splits = {
            name: {field: values[rows["label"] < sample.classes] for field, values in rows.items()}
            for name, rows in splits.items()
        }
    spec = TrainSpec(
        **{
            "max_epochs": 3,
            "batch_size": 64,
            "precision": "fp32",
            "optimizer": OptimizerSpec(lr=5e-3),
            **changes,
        }
    )
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
    learner = build_learner(
        CNN, SAMPLE, train=spec, start=make_start(trained.checkpoint, fresh=["classifier"])
    )
    drawn = build_learner(CNN, SAMPLE, train=spec)
    before, taken = read_weights(trained), dict(learner.named_parameters())
    for name, value in drawn.named_parameters():
        same_as_before, same_as_drawn = (
            torch.equal(taken[name], other) for other in (before[name], value)
        )
        assert same_as_drawn if "classifier" in name else same_as_before, name
        assert same_as_before != same_as_drawn


def test_mirrored_network_takes_the_weights_of_one_that_is_not_and_the_other_way_round(
    trained: Fitted,
) -> None:
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
    fitted = fit(
        CNN, start=make_start(trained.checkpoint, freeze=["features"], fresh=["classifier"])
    )
    before, after = read_weights(trained), read_weights(fitted)
    counter = "num_batches_tracked"  # taken from nowhere
    features = [
        name for name in after if name.startswith("network.features") and not name.endswith(counter)
    ]
    assert any(name.endswith("running_mean") for name in features)
    for name in features:
        assert torch.equal(after[name], before[name]), name
    assert not torch.equal(after["network.classifier.weight"], before["network.classifier.weight"])
    assert fitted.result.history[-1]["train_loss"] < fitted.result.history[0]["train_loss"]


def test_file_with_usual_names_is_taken_for_other_classes(trained: Fitted) -> None:
    """A published ResNet has its tensors by their names, and a thousand classes."""
    source = build_learner(RESNET, SAMPLE.model_copy(update={"classes": 1000})).network
    tensors = {
        name: value.contiguous()
        for name, value in source.state_dict().items()
        if "num_batches" not in name
    }
    assert {"conv1.weight", "layer1.0.bn2.running_var", "fc.bias"} <= tensors.keys()
    three = SAMPLE.model_copy(update={"classes": 3})
    start = read_start(
        save_tensors(tensors), StartSpec(url="weights.safetensors", fresh=["fc"], freeze=["layer1"])
    )
    fitted = fit(RESNET, three, start)
    after = read_weights(fitted)
    assert torch.equal(after["network.layer1.0.conv1.weight"], tensors["layer1.0.conv1.weight"])
    assert not torch.equal(after["network.conv1.weight"], tensors["conv1.weight"])
    assert after["network.fc.weight"].shape == (3, 8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("fc.bias"), r"fc\.bias is absent; .*fresh: \[fc\]"),
        (
            lambda tensors: tensors.update({"fc.weight": torch.zeros(7, 8)}),
            r"shape \(7, 8\) instead of \(10, 8\)",
        ),
        (
            lambda tensors: tensors.update({"layer9.weight": torch.zeros(1)}),
            r"layer9\.weight has no place",
        ),
        (lambda tensors: tensors["conv1.weight"].fill_(np.nan), r"conv1\.weight is not finite"),
        (
            lambda tensors: tensors.update(
                {"fc.bias": torch.full((10,), 1e300, dtype=torch.float64)}
            ),
            r"fc\.bias is not finite",
        ),
        (
            lambda tensors: tensors.update({"fc.bias": torch.zeros(10, dtype=torch.int8)}),
            r"int8 instead of .*float32",
        ),
        (
            lambda tensors: tensors.update({"fc.bias": torch.zeros(10, dtype=torch.complex64)}),
            r"complex64 instead of",
        ),
        (lambda tensors: tensors.clear(), r"conv1\.weight is absent.* and \d+ more"),
    ],
    ids=[
        "absent",
        "of another shape",
        "left over",
        "not finite",
        "too large",
        "quantised",
        "complex",
        "empty",
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change: Any, said: str) -> None:
    tensors = {
        name: value.clone()
        for name, value in build_learner(RESNET, SAMPLE).network.state_dict().items()
    }
    start = Start(tensors, StartSpec(url="file"))
    build_learner(RESNET, SAMPLE, start=start)
    change(tensors)
    with pytest.raises(SpecError, match=said):
        build_learner(RESNET, SAMPLE, start=start)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"fresh": ["head"]},
            r"fresh \(head\) must name parts of the network; .* features, classifier",
        ),
        ({"freeze": ["features", "class"]}, r"freeze \(class\) must name parts"),
        ({"freeze": ["features", "classifier"]}, "must leave something to learn"),
        ({"fresh": ["features", "classifier"]}, "no tensor that is to be taken"),
    ],
    ids=["unknown part drawn", "unknown part frozen", "all frozen", "all drawn"],
)
def test_parts_that_make_no_sense_are_refused(
    trained: Fitted, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        build_learner(CNN, SAMPLE, start=make_start(trained.checkpoint, **changes))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn]
)
def test_numbers_of_another_precision_are_taken(dtype: torch.dtype) -> None:
    tensors = {
        name: value.to(dtype)
        for name, value in build_learner(RESNET, SAMPLE).network.state_dict().items()
    }
    taken = build_learner(
        RESNET, SAMPLE, train=TrainSpec(seed=5), start=Start(tensors, StartSpec(url="file"))
    )
    assert torch.equal(taken.network.state_dict()["fc.weight"], tensors["fc.weight"].float())


def test_what_the_network_has_no_place_for_is_passed_over_by_name() -> None:
    tensors = {
        name: value.clone()
        for name, value in build_learner(RESNET, SAMPLE).network.state_dict().items()
    }
    start = Start({**tensors, "aux.weight": torch.zeros(3)}, StartSpec(url="file", fresh=("aux",)))
    taken = build_learner(RESNET, SAMPLE, train=TrainSpec(seed=5), start=start)
    assert torch.equal(taken.network.state_dict()["fc.weight"], tensors["fc.weight"])


def test_embeddings_of_texts_are_taken_and_frozen_as_the_network_is() -> None:
    model = ModelSpec(
        head=HeadSpec(embed=2), network=NetworkSpec(family="mlp", params={"widths": [4]})
    )
    sample = RowSample(
        numbers=(NumberColumn(name="a", mean=1.0, std=2.0),),
        categories=(CategoryColumn(name="b", vocabulary=("x", "y", "z")),),
        objective="values",
    )
    table = "head.categories.tables.0.weight"
    learned = build_learner(model, sample)
    content = pack_weights(copy_weights(learned), {})
    again = build_learner(model, sample, train=TrainSpec(seed=5), start=make_start(content))
    assert torch.equal(again.state_dict()[table], learned.state_dict()[table])
    other = sample.model_copy(update={"numbers": (NumberColumn(name="a", mean=9.0, std=3.0),)})
    again = build_learner(
        model, other, train=TrainSpec(seed=5), start=make_start(content, freeze=["head"])
    )
    assert not again.get_parameter(table).requires_grad
    assert again.get_parameter("network.last.weight").requires_grad
    # What is fitted to the rows at hand is no weight.
    assert again.state_dict()["head.offset"].item() == 9.0
    drawn = build_learner(
        model, sample, train=TrainSpec(seed=5), start=make_start(content, fresh=["head"])
    )
    assert not torch.equal(drawn.state_dict()[table], learned.state_dict()[table])
    more = (CategoryColumn(name="b", vocabulary=("x", "y")),)
    with pytest.raises(
        SpecError, match=r"head\.categories\.tables\.0\.weight has the shape .*fresh: \[head\]"
    ):
        build_learner(
            model, sample.model_copy(update={"categories": more}), start=make_start(content)
        )


def test_file_that_says_nothing_of_itself_is_taken() -> None:
    tensors = {
        name: value.contiguous()
        for name, value in build_learner(RESNET, SAMPLE).network.state_dict().items()
    }
    content = save_tensors(tensors)
    length = int.from_bytes(content[:8], "little")
    header = json.dumps({**json.loads(content[8 : 8 + length]), "__metadata__": None}).encode()
    start = read_start(
        len(header).to_bytes(8, "little") + header + content[8 + length :], StartSpec(url="file")
    )
    assert set(start.weights) == set(tensors)


def test_other_files_are_refused(trained: Fitted) -> None:
    for content in (b"", b"PK\x03\x04 a zip", trained.checkpoint[: len(trained.checkpoint) // 2]):
        with pytest.raises(
            CheckpointError, match=r"train\.start_from must name a safetensors file"
        ):
            make_start(content)


def test_frozen_modules_stay_in_answering_mode() -> None:
    learner = build_learner(CNN, SAMPLE)
    learner.frozen = (learner.network.features,)
    learner.eval().train()
    assert learner.network.dropout.training
    assert not any(
        module.training
        for module in learner.network.features.modules()
        if isinstance(module, nn.Module)
    )
