"""Head, networks and components: right shapes, and misfits refused before any training."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from lightning_modules.errors import SpecError
from lightning_modules.heads.image import ImageHead, fit_image_head
from lightning_modules.heads.mirror import MirrorMean
from lightning_modules.networks.cnn import PooledBlock
from lightning_modules.networks.factory import build_network
from lightning_modules.objectives.losses import build_class_loss
from lightning_modules.specs.model import NetworkSpec
from lightning_modules.specs.training import LossSpec, OptimizerSpec, SchedulerSpec
from lightning_modules.training.optim import build_optimizer, build_scheduler, compute_lr_factor

MINE = "tests.lightning_modules.components"


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet", "rnn", "transformer", "linear_probe"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 20, 36)])
def test_every_family_answers_every_size(family: str, shape: tuple[int, int, int]) -> None:
    network = build_network(NetworkSpec(family=family), shape, 7)
    assert network(torch.rand(3, *shape)).shape == (3, 7)
    assert network.training


@pytest.mark.parametrize(
    ("family", "params", "message"),
    [
        ("cnn", {"width": 3}, r"network family \('cnn'\) must accept its parameters .*'width'"),
        ("cnn", {"widths": [8]}, "widths must name the stem and at least one stage"),
        (
            "cnn",
            {"stem_stride": 3},
            "stem_stride and convolutions must be 1 or 2; got stem_stride 3",
        ),
        ("cnn", {"convolutions": 0}, "got stem_stride 1, convolutions 0"),
        (
            "resnet",
            {"blocks": [2, 2]},
            r"must name one to four stages alike, each above 0; got \[2, 2\]",
        ),
        ("resnet", {"blocks": [0], "widths": [8]}, "each above 0"),
        ("resnet", {"stem": "huge"}, "stem must be auto, small or large; got 'huge'"),
        ("mlp", {"widths": []}, "widths must name at least one layer"),
        ("rnn", {"cell": "elman"}, "cell must be gru or lstm; got 'elman'"),
        ("transformer", {"heads": 5}, "heads must divide width"),
        ("transformer", {"patch": 3}, "patch must divide the image's 8 x 8 pixels; got 3"),
        (f"{MINE}:OneLayer", {"colour": 1}, "must accept its parameters"),
        (f"{MINE}:TooManyOutputs", {}, r"must answer two samples .* with \(2, 7\); got \(2, 8\)"),
        (f"{MINE}:make_nothing", {}, "must build a torch.nn.Module; got NoneType"),
        (f"{MINE}:Missing", {}, "must be importable; got AttributeError"),
        (f"{MINE}:NOT_CALLABLE", {}, "must be a class or a function; got int"),
        ("no_such_package_anywhere:Net", {}, "must be importable; got ModuleNotFoundError"),
    ],
)
def test_misfit_is_refused_before_training(
    family: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        build_network(NetworkSpec(family=family, params=params), (1, 8, 8), 7)


def test_resnet_18_has_the_usual_names_and_size() -> None:
    network = build_network(NetworkSpec(family="resnet"), (3, 96, 96), 1000)
    # What torchvision's resnet18 has: 11,689,512 parameters (its documentation), 122 entries in its
    # state dict.
    assert sum(value.numel() for value in network.parameters()) == 11_689_512
    state = network.state_dict()
    assert len(state) == 122
    assert {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer4.1.bn2.bias",
        "fc.weight",
    } <= set(state)
    assert tuple(state["conv1.weight"].shape) == (64, 3, 7, 7)
    assert tuple(state["layer2.0.downsample.0.weight"].shape) == (128, 64, 1, 1)
    assert "layer1.0.downsample.0.weight" not in state


def test_resnet_keeps_small_images_at_their_size() -> None:
    network = build_network(
        NetworkSpec(family="resnet", params={"blocks": [1], "widths": [8]}), (3, 32, 32), 7
    )
    assert tuple(network.get_submodule("layer1")(torch.rand(1, 8, 32, 32)).shape) == (1, 8, 32, 32)
    weight = network.get_submodule("conv1").weight
    assert tuple(weight.shape) == (8, 3, 3, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_early_pooling_in_training_and_in_answering_is_one_function(activation: str) -> None:
    torch.manual_seed(0)
    block, features = PooledBlock(3, 8, activation), torch.randn(16, 3, 10, 10)
    for _ in range(3):
        block(features)
    with torch.no_grad():
        block.norm.bias.normal_()
    pooled_first = block.activation(block.eval().norm(block.pool(block.convolution(features))))
    assert pooled_first.shape == (16, 8, 5, 5)
    torch.testing.assert_close(block(features), pooled_first)
    assert not block.norm.weight.requires_grad


def test_mirrored_answers_are_those_of_both_images_and_training_sees_one() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(family="cnn"), (3, 12, 12), 7).eval()
    both, image = MirrorMean(network).eval(), torch.randn(5, 3, 12, 12)
    torch.testing.assert_close(both(image), (network(image) + network(image.flip(3))) / 2)
    torch.testing.assert_close(both(image), both(image.flip(3)))
    assert not torch.allclose(network(image), network(image.flip(3)))
    seen: list[int] = []
    network.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    both.train()(image)
    assert seen == [5]


def test_own_network_is_built() -> None:
    network = build_network(
        NetworkSpec(family=f"{MINE}:OneLayer", params={"bias": False}), (1, 8, 8), 7
    )
    assert [tuple(value.shape) for value in network.parameters()] == [(7, 64)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int16])
def test_head_normalises_each_channel(dtype: torch.dtype) -> None:
    head = fit_image_head("standard", 2, mean=[10.0, 100.0], std=[2.0, 0.0], value_range=(0, 255))
    image = torch.tensor([12, 101], dtype=dtype).reshape(1, 2, 1, 1).expand(3, 2, 4, 5)
    answer = head(image)
    assert answer.dtype == torch.float32
    assert answer.shape == (3, 2, 4, 5)
    # A channel that never varied in training is centred only.
    assert torch.equal(answer[0, :, 0, 0], torch.tensor([1.0, 1.0]))


def test_head_maps_the_value_range() -> None:
    head = fit_image_head("range", 1, mean=[0.0], std=[1.0], value_range=(-4, 12))
    assert head(torch.tensor([[[[-4.0, 4.0, 12.0]]]])).flatten().tolist() == [0.0, 0.5, 1.0]
    assert isinstance(fit_image_head("none", 3, mean=[], std=[], value_range=(0, 1)), ImageHead)


def test_head_refuses_statistics_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match=r"one a channel \(3\); got 2"):
        fit_image_head("standard", 3, mean=[1.0, 2.0], std=[1.0, 1.0], value_range=(0, 1))
    with pytest.raises(SpecError, match="end above its start"):
        fit_image_head("range", 1, mean=[], std=[], value_range=(3, 3))


def test_head_keeps_its_statistics_in_the_weights() -> None:
    head = fit_image_head("standard", 1, mean=[3.0], std=[4.0], value_range=(0, 16))
    assert head.state_dict()["offset"].item() == 3.0
    assert list(head.parameters()) == []


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "muon", f"{MINE}:plain_descent"])
def test_optimizers_lower_a_loss(name: str) -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 2)
    optimizer = build_optimizer(OptimizerSpec(name=name, lr=0.1), module)
    loss = build_class_loss(LossSpec())
    sample, label = torch.randn(16, 4), torch.arange(16) % 2
    before = loss(module(sample), label).item()
    for _ in range(5):
        optimizer.zero_grad()
        loss(module(sample), label).backward()
        optimizer.step()
    assert loss(module(sample), label).item() < before


def test_biases_do_not_decay() -> None:
    groups = build_optimizer(OptimizerSpec(weight_decay=0.3), torch.nn.Linear(4, 2)).param_groups
    assert [(group["weight_decay"], group["params"][0].ndim) for group in groups] == [
        (0.3, 2),
        (0.0, 1),
    ]


def test_bad_optimizer_parameters_are_refused() -> None:
    with pytest.raises(
        SpecError, match=r"optimizer \('adamw'\) must accept its parameters .*'nope'"
    ):
        build_optimizer(OptimizerSpec(params={"nope": 1}), torch.nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("name", "quarter"), [("cosine", 0.1 + 0.9 * (1 + 0.5**0.5) / 2), ("linear", 0.775)]
)
def test_learning_rate_warms_up_then_falls_to_its_floor(name: str, quarter: float) -> None:
    spec = SchedulerSpec(name=name, warmup_fraction=0.2, floor=0.1)
    factors = [compute_lr_factor(step, total_steps=100, spec=spec) for step in range(101)]
    assert factors[40] == pytest.approx(quarter)
    assert factors[0] == pytest.approx(1 / 21)
    assert factors[20] == pytest.approx(1.0)
    assert factors[60] == pytest.approx(0.55)
    assert factors[100] == pytest.approx(0.1)
    assert all(earlier < later for earlier, later in pairwise(factors[:21]))
    assert all(earlier > later for earlier, later in pairwise(factors[20:]))


def test_own_scheduler_and_loss() -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=1.0)
    built = build_scheduler(SchedulerSpec(name=f"{MINE}:halving"), optimizer, total_steps=4)
    assert built["interval"] == "step"
    loss = build_class_loss(LossSpec(name=f"{MINE}:squared_error", params={"scale": 2.0}))
    assert float(loss(torch.zeros(2, 2), torch.tensor([0, 1]))) == pytest.approx(1.0)
    with pytest.raises(SpecError, match="must return a scalar tensor"):
        build_class_loss(LossSpec(name=f"{MINE}:each_row"))
    with pytest.raises(SpecError, match="must accept logits"):
        build_class_loss(LossSpec(name=f"{MINE}:squared_error", params={"power": 2}))
